namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The current batch: its number of rows, their division into blocks, and what stages ask about the step. The blocks
/// depend only on the number of rows, so that sums by block have the same bits on any number of threads.
/// </summary>
/// <param name="seed">The seed of all random numbers.</param>
/// <param name="blockRows">The most rows in a block.</param>
/// <param name="threads">The number of threads that share the work.</param>
/// <param name="share">This rank's rows of the batch, if several ranks train; else null.</param>
sealed class Step(int seed, int blockRows, int threads, BatchShare? share = null)
{
    /// <summary>
    /// The most rows in a block: enough for weights to be used many times once they are read, few enough for the block
    /// to stay in a cache.
    /// </summary>
    const int MaxBlockRows = 64;

    /// <summary>The most floats in a block of images.</summary>
    const int BlockFloats = 1 << 16;

    bool failed;

    public int Seed => seed;

    public int BlockRows => blockRows;

    public BatchShare? Share => share;

    public WorkMemory Work { get; } = new(threads);

    /// <summary>The number of steps before this one.</summary>
    public long Number { get; set; }

    /// <summary>The number of rows in the batch; with a <see cref="Share"/>, those of this rank.</summary>
    public int Rows
    {
        get;
        set => (field, Blocks) = (value, BlocksOf(value));
    }

    /// <summary>The number of rows of a training step on all ranks.</summary>
    public int BatchRows => share?.BatchRows ?? Rows;

    /// <summary>The number of blocks.</summary>
    public int Blocks { get; private set; }

    /// <summary>Whether this step has computed a value that is not finite.</summary>
    public bool Failed => Volatile.Read(ref failed);

    /// <summary>The number of blocks for a number of rows.</summary>
    public int BlocksOf(int rows) => (rows + blockRows - 1) / blockRows;

    /// <summary>The most rows in a block for a network; few if they are large images.</summary>
    public static int BlockRowsOf(Network network)
    {
        int largest = network.Nodes.Where(node => node.Output.Rank == 3)
            .Select(node => Math.Max(node.Input.Size, node.Output.Size)).DefaultIfEmpty(1).Max();
        return Math.Clamp(BlockFloats / largest, 1, MaxBlockRows);
    }

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

/// <summary>
/// Memory that a pass needs while it works on an item. Each thread of a session has one block, and all blocks are as
/// large as the largest need. The contents of a block are undefined when it is taken.
/// </summary>
sealed class WorkMemory(int threads)
{
    readonly AlignedMemory<float>[] blocks = NewBlocks(threads, 0);
    readonly int[] taken = new int[threads];
    long size;

    /// <summary>Called by a stage when it is created, if one of its passes needs that many floats.</summary>
    public void Reserve(long floats)
    {
        if (floats <= size)
            return;
        size = floats;
        NewBlocks(threads, floats).CopyTo(blocks, 0);
    }

    /// <summary>Gives a block that no other thread uses until the lease is disposed of.</summary>
    public Lease Take()
    {
        for (int i = 0; ; i = (i + 1) % taken.Length)
        {
            if (Interlocked.Exchange(ref taken[i], 1) == 0)
                return new Lease(this, i);
        }
    }

    static AlignedMemory<float>[] NewBlocks(int count, long floats) =>
        [.. Enumerable.Range(0, count).Select(_ => new AlignedMemory<float>(floats))];

    /// <summary>A block while one thread uses it.</summary>
    public readonly unsafe ref struct Lease(WorkMemory owner, int index)
    {
        public float* Start => owner.blocks[index].Start;

        public void Dispose() => Volatile.Write(ref owner.taken[index], 0);
    }
}
