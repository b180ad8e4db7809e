namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What the last normalization whose statistics are settled gets, chunk of rows by chunk, so that the layers below it
/// run once; as many chunks as fit into a budget of memory. The others begin at the features again.
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

    /// <summary>Turns to a chunk: whether its input of the last normalization is here.</summary>
    /// <param name="chunk">The chunk.</param>
    /// <param name="rows">Its number of rows.</param>
    /// <param name="next">What is to be kept of it in place of that; null for nothing.</param>
    public bool Begin(int chunk, int rows, RowBuffer? next)
    {
        source = inputs[chunk];
        floats -= source?.Length ?? 0;
        long length = next is null ? 0 : (long)rows * next.Stride;
        bool fits = next is not null && floats + length <= mostFloats;
        // A block is restored before it is kept.
        target = !fits ? null : source?.Length == length ? source : new AlignedMemory<float>(length);
        floats += target?.Length ?? 0;
        inputs[chunk] = target;
        return source is not null;
    }

    /// <summary>Brings what was kept of the chunk into the buffer that it was in.</summary>
    public Pass Restore(RowBuffer buffer) => Pass.OnRows(block => Of(source!, block, buffer).CopyTo(In(buffer, block)));

    /// <summary>Keeps what is in the buffer, if there is room.</summary>
    public Pass Keep(RowBuffer buffer) => Pass.OnRows(block =>
    {
        if (target is not null)
            In(buffer, block).CopyTo(Of(target, block, buffer));
    });

    static Span<float> In(RowBuffer buffer, RowBlock block) =>
        new(buffer.Row(block.First), block.Rows * buffer.Stride);

    static Span<float> Of(AlignedMemory<float> memory, RowBlock block, RowBuffer buffer) =>
        memory.Span.Slice(block.First * buffer.Stride, block.Rows * buffer.Stride);
}
