namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// The order of one epoch's rows, from the seed and the epoch's number alone. Blocks are shuffled, and then the rows of
/// a window's blocks with each other: of rows that fit in one window, every order is equally likely.
/// </summary>
/// <param name="rows">The rows.</param>
/// <param name="shuffles">Whether they are not taken as they come.</param>
/// <param name="seed">The seed.</param>
/// <param name="epoch">The epoch, counted over all phases.</param>
sealed class EpochOrder(RowSet rows, bool shuffles, int seed, long epoch)
{
    /// <summary>Apart from every window's number.</summary>
    const int BlocksPart = -1;

    readonly int[] blocks = Blocks(rows, shuffles, seed, epoch);
    int[] window = [], joined = [];
    int windows, first, count;

    /// <summary>
    /// The rows at some places, which are not before those of the last call; until the next call.
    /// </summary>
    public ReadOnlySpan<int> this[Range range]
    {
        get
        {
            (int from, int length) = range.GetOffsetAndLength(rows.Count);
            while (from >= first + count)
                Open();
            if (from + length <= first + count)
                return window.AsSpan(from - first, length);
            if (joined.Length < length)
                joined = new int[length];
            for (int done = 0; ; Open())
            {
                int at = from + done - first;
                ReadOnlySpan<int> part = window.AsSpan(at, Math.Min(length - done, count - at));
                part.CopyTo(joined.AsSpan(done));
                done += part.Length;
                if (done == length)
                    return joined.AsSpan(0, length);
            }
        }
    }

    static int[] Blocks(RowSet rows, bool shuffles, int seed, long epoch)
    {
        int[] blocks = RowOrder.All(rows.Blocks.Count);
        if (shuffles)
            RowOrder.Shuffle(blocks, seed, epoch, BlocksPart);
        return blocks;
    }

    /// <summary>Turns to the next window.</summary>
    void Open()
    {
        int firstBlock = windows * rows.Blocks.WindowBlocks;
        int blockCount = Math.Min(rows.Blocks.WindowBlocks, blocks.Length - firstBlock);
        ReadOnlySpan<int> open = blocks.AsSpan(firstBlock, blockCount);
        first += count;
        count = 0;
        foreach (int block in open)
            count += rows.CountIn(block);
        if (window.Length < count)
            window = new int[count];
        int at = 0;
        foreach (int block in open)
        {
            int inBlock = rows.CountIn(block);
            rows.CopyTo(block, window.AsSpan(at, inBlock));
            at += inBlock;
        }
        if (shuffles)
            RowOrder.Shuffle(window.AsSpan(0, count), seed, epoch, windows);
        windows++;
    }
}
