namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Memory that a pass needs while it is at an item: one block for each thread of a session, all as large as the largest
/// need. What a block holds when it is taken is anything.
/// </summary>
sealed class WorkMemory(int threads)
{
    readonly AlignedMemory<float>[] blocks = NewBlocks(threads, 0);
    readonly int[] taken = new int[threads];
    long size;

    /// <summary>Called while stages are made: says that a pass will need so many floats.</summary>
    public void Reserve(long floats)
    {
        if (floats <= size)
            return;
        size = floats;
        NewBlocks(threads, floats).CopyTo(blocks, 0);
    }

    /// <summary>A block that no other thread has, until it is disposed of.</summary>
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

    /// <summary>A block while it is one thread's.</summary>
    public readonly unsafe ref struct Lease(WorkMemory owner, int index)
    {
        public float* Start => owner.blocks[index].Start;

        public void Dispose() => Volatile.Write(ref owner.taken[index], 0);
    }
}
