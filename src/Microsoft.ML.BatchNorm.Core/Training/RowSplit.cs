namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// Which rows are held for validation: a share of them, drawn from each group of neighbouring blocks by the seed, so
/// that it is known of any row without a list of all.
/// </summary>
sealed class RowSplit
{
    /// <summary>So many rows are drawn from together, at least.</summary>
    const int GroupRows = 4096;

    /// <summary>Apart from every epoch's number.</summary>
    const int Number = -1;

    readonly RowBlocks blocks;
    readonly double share;
    readonly int seed, groupBlocks;
    bool[] isHeld = [];
    int group = -1;

    public RowSplit(RowBlocks blocks, double share, int seed)
    {
        if (blocks.Rows == 1)
            throw new ArgumentException("A single row cannot be split into training and validation.");
        (this.blocks, this.share, this.seed) = (blocks, share, seed);
        groupBlocks = (GroupRows + blocks.BlockRows - 1) / blocks.BlockRows;
    }

    /// <summary>Whether each row of a block is held, until the next block is asked for.</summary>
    public ReadOnlySpan<bool> IsHeld(int block)
    {
        int wanted = block / groupBlocks, first = blocks.FirstRow(wanted * groupBlocks);
        if (group != wanted)
            Draw(wanted, first, blocks.FirstRow((int)Math.Min((wanted + 1L) * groupBlocks, blocks.Count)));
        return isHeld.AsSpan()[(blocks.FirstRow(block) - first)..(blocks.FirstRow(block + 1) - first)];
    }

    void Draw(int wanted, int first, int end)
    {
        int[] order = RowOrder.All(end - first);
        RowOrder.Shuffle(order, seed, Number, wanted);
        isHeld = new bool[order.Length];
        foreach (int row in order.AsSpan(0, HeldBefore(end) - HeldBefore(first)))
            isHeld[row] = true;
        group = wanted;
    }

    int HeldBefore(int row)
    {
        int held = (int)Math.Round(share * row);
        return row == blocks.Rows ? Math.Clamp(held, 1, row - 1) : held;
    }
}
