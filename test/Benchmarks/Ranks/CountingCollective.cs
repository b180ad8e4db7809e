using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Counts what a rank sends.</summary>
sealed class CountingCollective(ICollective ranks) : ICollective
{
    public Traffic Sent { get; private set; }

    public int Rank => ranks.Rank;

    public int Size => ranks.Size;

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        Sent += new Traffic(1, mine.Length, 0, 0);
        ranks.Gather(mine, all);
    }

    public void Sum(Span<float> values)
    {
        Sent += new Traffic(0, 0, 1, values.Length * sizeof(float));
        ranks.Sum(values);
    }

    public void Sum(Span<double> values)
    {
        Sent += new Traffic(0, 0, 1, values.Length * sizeof(double));
        ranks.Sum(values);
    }

    public void Broadcast(Span<byte> values, int root) => ranks.Broadcast(values, root);

    [DoesNotReturn]
    public void Abort(string reason) => ranks.Abort(reason);
}

/// <summary>The messages of a rank, and its own bytes in them.</summary>
readonly record struct Traffic(int Gathers, long GatheredBytes, int Sums, long SummedBytes)
{
    public static Traffic operator +(Traffic one, Traffic other) => new(
        one.Gathers + other.Gathers, one.GatheredBytes + other.GatheredBytes, one.Sums + other.Sums,
        one.SummedBytes + other.SummedBytes);

    public static Traffic operator -(Traffic one, Traffic other) => new(
        one.Gathers - other.Gathers, one.GatheredBytes - other.GatheredBytes, one.Sums - other.Sums,
        one.SummedBytes - other.SummedBytes);
}
