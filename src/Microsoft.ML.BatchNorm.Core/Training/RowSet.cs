using System.Collections;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>Rows of data in ascending order: all of them, or one side of a split.</summary>
sealed class RowSet : IReadOnlyCollection<int>
{
    readonly RowSplit? split;
    readonly bool isHeld;

    /// <summary>The rows of each block; null where that is all of them.</summary>
    readonly int[]? counts;

    /// <summary>All rows.</summary>
    public RowSet(TrainingData data) : this(data, null, false)
    {
    }

    RowSet(TrainingData data, RowSplit? split, bool isHeld)
    {
        (Data, this.split, this.isHeld) = (data, split, isHeld);
        Blocks = new RowBlocks(data.Rows, data.ValuesPerRow);
        Count = data.Rows;
        if (split is null)
            return;
        counts = new int[Blocks.Count];
        for (int block = 0; block < counts.Length; block++)
            counts[block] = split.IsHeld(block).Count(isHeld);
        Count = counts.Sum();
    }

    public TrainingData Data { get; }

    public RowBlocks Blocks { get; }

    public int Count { get; }

    /// <summary>The rows to train on, and the given share of all to validate with; null for none.</summary>
    public static (RowSet Training, RowSet? Validation) Split(TrainingData data, double share, int seed)
    {
        if (share == 0)
            return (new RowSet(data), null);
        var split = new RowSplit(new RowBlocks(data.Rows, data.ValuesPerRow), share, seed);
        return (new RowSet(data, split, isHeld: false), new RowSet(data, split, isHeld: true));
    }

    /// <summary>How many rows of a block are in the set.</summary>
    public int CountIn(int block) => counts?[block] ?? Blocks.FirstRow(block + 1) - Blocks.FirstRow(block);

    /// <summary>Copies these rows' numbers.</summary>
    public void CopyTo(int block, Span<int> rows)
    {
        int first = Blocks.FirstRow(block), to = 0;
        ReadOnlySpan<bool> held = split is null ? default : split.IsHeld(block);
        for (int i = 0; to < rows.Length; i++)
        {
            if (split is null || held[i] == isHeld)
                rows[to++] = first + i;
        }
    }

    public IEnumerator<int> GetEnumerator()
    {
        if (split is null)
        {
            for (int row = 0; row < Count; row++)
                yield return row;
            yield break;
        }
        int[] rows = [];
        for (int block = 0; block < Blocks.Count; block++)
        {
            int count = CountIn(block);
            if (rows.Length < count)
                rows = new int[count];
            CopyTo(block, rows.AsSpan(0, count));
            for (int i = 0; i < count; i++)
                yield return rows[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
