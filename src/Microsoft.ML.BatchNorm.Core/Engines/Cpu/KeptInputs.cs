namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The values from which the stages go on behind the last normalization whose statistics are settled, chunk of rows by
/// chunk, so that the stages before it run once; as many chunks as fit into a budget of memory. The others begin at the
/// features again.
/// </summary>
/// <param name="chunks">The number of chunks.</param>
sealed unsafe class KeptInputs(int chunks)
{
    /// <summary>A quarter of a gigabyte, or an eighth of all memory where that is less.</summary>
    static readonly long mostFloats =
        Math.Min(1 << 26, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (8 * sizeof(float)));

    readonly AlignedMemory<float>?[] inputs = new AlignedMemory<float>?[chunks];
    AlignedMemory<float>? source, target;
    long floats;

    public int Chunks => chunks;

    /// <summary>Turns to a chunk: whether it was kept when it was turned to before.</summary>
    /// <param name="chunk">The chunk.</param>
    /// <param name="rows">Its number of rows.</param>
    /// <param name="next">What is to be kept of it in place of that; empty for nothing.</param>
    public bool Begin(int chunk, int rows, RowBuffer[] next)
    {
        source = inputs[chunk];
        floats -= source?.Length ?? 0;
        long length = rows * FloatsPerRow(next);
        bool fits = length > 0 && floats + length <= mostFloats;
        // A block of rows has the same place for any buffers of as many floats, and is restored before it is kept.
        target = !fits ? null : source?.Length == length ? source : new AlignedMemory<float>(length);
        floats += target?.Length ?? 0;
        inputs[chunk] = target;
        return source is not null;
    }

    /// <summary>Brings what was kept of the chunk into the buffers that it was in.</summary>
    public Pass Restore(RowBuffer[] buffers) => Pass.OnRows(block =>
    {
        Span<float> kept = Of(source!, block, buffers);
        foreach (RowBuffer buffer in buffers)
        {
            kept[..(block.Rows * buffer.Stride)].CopyTo(In(buffer, block));
            kept = kept[(block.Rows * buffer.Stride)..];
        }
    });

    /// <summary>Keeps what is in the buffers, if there is room.</summary>
    public Pass Keep(RowBuffer[] buffers) => Pass.OnRows(block =>
    {
        if (target is null)
            return;
        Span<float> kept = Of(target, block, buffers);
        foreach (RowBuffer buffer in buffers)
        {
            In(buffer, block).CopyTo(kept);
            kept = kept[(block.Rows * buffer.Stride)..];
        }
    });

    static Span<float> In(RowBuffer buffer, RowBlock block) =>
        new(buffer.Row(block.First), block.Rows * buffer.Stride);

    static Span<float> Of(AlignedMemory<float> memory, RowBlock block, RowBuffer[] buffers)
    {
        int perRow = (int)FloatsPerRow(buffers);
        return memory.Span.Slice(block.First * perRow, block.Rows * perRow);
    }

    static long FloatsPerRow(RowBuffer[] buffers) => buffers.Sum(buffer => (long)buffer.Stride);
}
