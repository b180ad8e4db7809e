using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.BatchNorm.Tests.Collectives;

/// <summary>Counts the messages of a rank, and may change sums of floats as a faulty processor would.</summary>
sealed class WatchedCollective(ICollective ranks) : ICollective
{
    public int Gathers { get; private set; }

    public int Sums { get; private set; }

    public long Bytes { get; private set; }

    public int Messages => Gathers + Sums;

    /// <summary>Is called with each sum of floats.</summary>
    public Action<float[]>? Change { get; set; }

    public int Rank => ranks.Rank;

    public int Size => ranks.Size;

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        Gathers++;
        Bytes += mine.Length;
        ranks.Gather(mine, all);
    }

    public void Sum(Span<float> values)
    {
        Sums++;
        Bytes += values.Length * sizeof(float);
        ranks.Sum(values);
        if (Change is null)
            return;
        float[] changed = values.ToArray();
        Change(changed);
        changed.CopyTo(values);
    }

    public void Sum(Span<double> values)
    {
        Sums++;
        Bytes += values.Length * sizeof(double);
        ranks.Sum(values);
    }

    public void Broadcast(Span<byte> values, int root) => ranks.Broadcast(values, root);

    [DoesNotReturn]
    public void Abort(string reason) => ranks.Abort(reason);
}
