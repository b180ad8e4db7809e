namespace Microsoft.ML.BatchNorm;

/// <summary>The batch at hand: its rows, cut by their number alone, and what stages ask about the step.</summary>
/// <param name="seed">The seed of all random numbers.</param>
sealed class Step(int seed)
{
    /// <summary>
    /// The most rows of a block: enough to read the weights once for many, few enough to stay in a cache.
    /// </summary>
    public const int BlockRows = 64;

    bool failed;

    public int Seed => seed;

    /// <summary>The number of steps before this one.</summary>
    public long Number { get; set; }

    /// <summary>The number of rows in the batch.</summary>
    public int Rows
    {
        get;
        set => (field, Blocks) = (value, BlocksOf(value));
    }

    /// <summary>The number of blocks.</summary>
    public int Blocks { get; private set; }

    /// <summary>Whether something was not finite in this step.</summary>
    public bool Failed => Volatile.Read(ref failed);

    /// <summary>The number of blocks that so many rows make.</summary>
    public static int BlocksOf(int rows) => (rows + BlockRows - 1) / BlockRows;

    public RowBlock Block(int index)
    {
        int first = (int)((long)Rows * index / Blocks);
        return new RowBlock(index, first, (int)((long)Rows * (index + 1) / Blocks) - first);
    }

    public void Begin(int rows)
    {
        Rows = rows;
        Volatile.Write(ref failed, false);
    }

    public void Fail() => Volatile.Write(ref failed, true);
}
