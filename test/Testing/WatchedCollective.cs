using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// Counts the messages of a rank, which must come from the thread that made this object, and may change sums of floats
/// as a faulty processor would.
/// </summary>
public sealed class WatchedCollective(ICollective ranks) : ICollective
{
    readonly int thread = Environment.CurrentManagedThreadId;
    int gathers, sums;

    public int Messages => gathers + sums;

    public long Bytes { get; private set; }

    /// <summary>Is called with each sum of floats.</summary>
    public Action<float[]>? Change { get; set; }

    public int Rank => ranks.Rank;

    public int Size => ranks.Size;

    public void Gather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        Count(ref gathers, mine.Length);
        ranks.Gather(mine, all);
    }

    public void Sum(Span<float> values)
    {
        Count(ref sums, values.Length * sizeof(float));
        ranks.Sum(values);
        if (Change is null)
            return;
        float[] changed = values.ToArray();
        Change(changed);
        changed.CopyTo(values);
    }

    public void Sum(Span<double> values)
    {
        Count(ref sums, values.Length * sizeof(double));
        ranks.Sum(values);
    }

    public void Broadcast(Span<byte> values, int root) => ranks.Broadcast(values, root);

    [DoesNotReturn]
    public void Abort(string reason) => ranks.Abort(reason);

    void Count(ref int messages, int bytes)
    {
        Assert.AreEqual(thread, Environment.CurrentManagedThreadId, "A message comes from another thread.");
        messages++;
        Bytes += bytes;
    }
}
