namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A line of a table, which is prepared when its turn comes.</summary>
/// <param name="Name">What is compared.</param>
/// <param name="Prepare">Makes the contest.</param>
sealed record Comparison(string Name, Func<Contest> Prepare);

/// <summary>Pieces of work that are timed in turn: ours, and one for each of the table's other columns.</summary>
/// <param name="amount">What a call of ours does, in the table's unit.</param>
/// <param name="ours">The library's work.</param>
sealed class Contest(double amount, Action ours) : IDisposable
{
    readonly List<IDisposable> owned = [];

    /// <summary>Ours first; null where there is none for a column.</summary>
    public List<Entry?> Entries { get; } = [new Entry(amount, ours)];

    /// <summary>Whether works have threads or a device of their own, which come to rest between turns.</summary>
    public bool HasThreads { get; init; }

    /// <summary>Waits until a device has done what it was given.</summary>
    public Action Wait { get; init; } = () => { };

    /// <summary>Adds the next column's work, which does as much as ours does.</summary>
    public Contest Against(Action? peer) => Against(peer, amount);

    /// <summary>Adds the next column's work.</summary>
    public Contest Against(Action? peer, double peerAmount)
    {
        Entries.Add(peer is null ? null : new Entry(peerAmount, peer));
        return this;
    }

    /// <summary>Has something disposed of when the contest is over.</summary>
    public Contest Owning(params IDisposable?[] resources)
    {
        owned.AddRange(resources.OfType<IDisposable>());
        return this;
    }

    public void Dispose()
    {
        for (int i = owned.Count - 1; i >= 0; i--)
            owned[i].Dispose();
    }
}

/// <summary>A piece of work, and what a call of it does in the table's unit.</summary>
readonly record struct Entry(double Amount, Action Work);
