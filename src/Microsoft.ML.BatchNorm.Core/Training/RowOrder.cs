using System.Collections;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows of data in ascending order: all of them, or one side of a validation split. Of several ranks, these are the
/// numbers of the rows of all.
/// </summary>
sealed class RowSet : IReadOnlyCollection<int>
{
    readonly RowSplit? split;
    readonly RowShares? shares;
    readonly bool isHeld;

    /// <summary>The number of the set's rows in each block; null if the set has all rows.</summary>
    readonly int[]? counts;

    /// <summary>All rows.</summary>
    public RowSet(TrainingData data, RowShares? shares = null) : this(data, shares, null, false)
    {
    }

    RowSet(TrainingData data, RowShares? shares, RowSplit? split, bool isHeld)
    {
        (Data, this.shares, this.split, this.isHeld) = (data, shares, split, isHeld);
        Count = shares?.Total ?? data.Rows;
        Blocks = new RowBlocks(Count, data.ValuesPerRow);
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

    /// <summary>This rank's rows, as indices into its data.</summary>
    public IReadOnlyCollection<int> Own =>
        shares is null ? this : [.. this.Select(shares.IndexOf).Where(index => index >= 0)];

    /// <summary>
    /// The rows to train on, and the given share of all rows to validate with; null for a share of 0.
    /// </summary>
    public static (RowSet Training, RowSet? Validation) Split(
        TrainingData data, double share, int seed, RowShares? shares = null)
    {
        var all = new RowSet(data, shares);
        if (share == 0)
            return (all, null);
        var split = new RowSplit(all.Blocks, share, seed);
        return (new RowSet(data, shares, split, isHeld: false), new RowSet(data, shares, split, isHeld: true));
    }

    /// <summary>The number of the set's rows in a block.</summary>
    public int CountIn(int block) => counts?[block] ?? Blocks.FirstRow(block + 1) - Blocks.FirstRow(block);

    /// <summary>Copies the numbers of the set's rows in a block.</summary>
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

/// <summary>
/// Which rows are held out for validation. The seed draws the share of them separately in each group of neighbouring
/// blocks, so that one group at a time is in memory and not a list of all rows.
/// </summary>
sealed class RowSplit
{
    /// <summary>The least number of rows in a group, if there are that many.</summary>
    const int GroupRows = 4096;

    /// <summary>
    /// Takes the place that the epoch's number has in the seed of an order. An epoch's number is never negative.
    /// </summary>
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

    /// <summary>Whether each row of a block is held out; valid until the next call.</summary>
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

/// <summary>
/// The order of one epoch's rows, which depends only on the seed and the epoch's number. The blocks are shuffled, then
/// the rows of each window of blocks. If the rows fit in one window, every order is equally likely.
/// </summary>
/// <param name="rows">The rows.</param>
/// <param name="shuffles">Whether the rows are shuffled; false keeps them in ascending order.</param>
/// <param name="seed">The seed.</param>
/// <param name="epoch">The epoch, counted over all phases.</param>
sealed class EpochOrder(RowSet rows, bool shuffles, int seed, long epoch)
{
    /// <summary>
    /// Takes the place that the window's number has in the seed of a window's shuffle. A window's number is never
    /// negative.
    /// </summary>
    const int BlocksPart = -1;

    readonly int[] blocks = Blocks(rows, shuffles, seed, epoch);
    int[] window = [], joined = [];
    int windows, first, count;

    /// <summary>
    /// The rows in a range of the order; valid until the next call. A call must not go back before the last one.
    /// </summary>
    public ReadOnlySpan<int> this[Range range]
    {
        get
        {
            (int from, int length) = range.GetOffsetAndLength(rows.Count);
            while (from >= first + count)
                OpenNextWindow();
            if (from + length <= first + count)
                return window.AsSpan(from - first, length);
            if (joined.Length < length)
                joined = new int[length];
            for (int done = 0; ; OpenNextWindow())
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

    void OpenNextWindow()
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

/// <summary>
/// Shuffles rows by Fisher and Yates's method with numbers from splitmix64 (Steele, Lea and Flood, 2014). Unlike
/// <see cref="Random"/>, which may draw other numbers on another runtime, the result never changes.
/// </summary>
static class RowOrder
{
    /// <param name="rows">The rows, which are shuffled in place.</param>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="number">What the order is for, such as the number of an epoch.</param>
    /// <param name="part">Which part of that.</param>
    public static void Shuffle(Span<int> rows, int seed, long number, int part = 0)
    {
        ulong state = RandomNumbers.Mix(RandomNumbers.Mix((uint)seed) + (ulong)number);
        if (part != 0)
            state = RandomNumbers.Mix(state + (ulong)part);
        for (int i = rows.Length - 1; i > 0; i--)
        {
            int other = Below(ref state, (uint)i + 1);
            (rows[i], rows[other]) = (rows[other], rows[i]);
        }
    }

    public static int[] All(int rows)
    {
        int[] order = new int[rows];
        for (int i = 0; i < rows; i++)
            order[i] = i;
        return order;
    }

    /// <summary>A number from 0 to below the bound, all equally likely (Lemire, 2019).</summary>
    static int Below(ref ulong state, uint bound)
    {
        while (true)
        {
            ulong product = (ulong)(uint)(RandomNumbers.Next(ref state) >> 32) * bound;
            if ((uint)product >= bound || (uint)product >= (uint)-(int)bound % bound)
                return (int)(product >> 32);
        }
    }
}

/// <summary>
/// How an epoch's rows are split into steps. The last batch has the rows that are left over; a single row that is left
/// over joins the batch before it.
/// </summary>
readonly record struct Batches(int Rows, int BatchSize)
{
    public long Count
    {
        get
        {
            int full = Rows / BatchSize, left = Rows % BatchSize;
            return full + (left > 1 || full == 0 ? 1 : 0);
        }
    }

    public Range this[long step] => (int)RowsBefore(step)..(int)RowsBefore(step + 1);

    /// <summary>The number of rows in all steps before this one.</summary>
    public long RowsBefore(long step) => step >= Count ? Rows : step * BatchSize;

    public long RowsIn(long step) => RowsBefore(step + 1) - RowsBefore(step);
}
