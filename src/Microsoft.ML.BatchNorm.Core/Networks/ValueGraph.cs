using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Which operation reads which value, for a list of operations in topological order. Value i is the output of operation
/// i; value −1 is the input of the list.
/// </summary>
/// <param name="inputs">
/// The values that each operation reads, which are outputs of earlier operations or the input.
/// </param>
sealed class ValueGraph(IReadOnlyList<ImmutableArray<int>> inputs)
{
    /// <summary>The value that is the input of the list.</summary>
    public const int Source = -1;

    readonly (int Count, int Last)[] readers = ReadersIn(inputs);

    /// <summary>How often a value is read; an operation that reads it twice counts twice.</summary>
    public int ReadersOf(int value) => readers[value + 1].Count;

    /// <summary>The last operation that reads a value, or −1 if none does.</summary>
    public int LastReaderOf(int value) => readers[value + 1].Last;

    /// <summary>The operation that reads a value, if the value is read exactly once; else null.</summary>
    public int? OnlyReaderOf(int value) => ReadersOf(value) == 1 ? LastReaderOf(value) : null;

    /// <summary>For each operation, whether it is one of the given ones or one of these depends on it.</summary>
    public bool[] LeadingTo(Func<int, bool> isGiven)
    {
        bool[] leads = [.. Enumerable.Range(0, inputs.Count).Select(isGiven)];
        for (int i = inputs.Count - 1; i >= 0; i--)
        {
            foreach (int value in leads[i] ? inputs[i] : [])
            {
                if (value >= 0)
                    leads[value] = true;
            }
        }
        return leads;
    }

    /// <summary>For each operation, whether it is one of the given ones or depends on one of these.</summary>
    public bool[] FollowingFrom(Func<int, bool> isGiven)
    {
        bool[] follows = new bool[inputs.Count];
        for (int i = 0; i < follows.Length; i++)
            follows[i] = isGiven(i) || inputs[i].Any(value => value >= 0 && follows[value]);
        return follows;
    }

    /// <summary>
    /// The values from before an operation that the operation or a later one reads, in ascending order: with them, the
    /// list can be computed from that operation on.
    /// </summary>
    /// <param name="operation">The first operation to compute.</param>
    /// <param name="isNeeded">Which operations count as readers.</param>
    public ImmutableArray<int> OpenAt(int operation, Func<int, bool> isNeeded)
    {
        var open = new SortedSet<int>();
        for (int i = operation; i < inputs.Count; i++)
        {
            if (isNeeded(i))
                open.UnionWith(inputs[i].Where(value => value < operation));
        }
        return [.. open];
    }

    static (int Count, int Last)[] ReadersIn(IReadOnlyList<ImmutableArray<int>> inputs)
    {
        var readers = new (int Count, int Last)[inputs.Count + 1];
        Array.Fill(readers, (0, -1));
        for (int i = 0; i < inputs.Count; i++)
        {
            foreach (int value in inputs[i])
                readers[value + 1] = (readers[value + 1].Count + 1, i);
        }
        return readers;
    }
}
