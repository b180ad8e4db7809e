namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>
/// Memory between the steps of a model: one block a thread, for all models, as large as one has needed.
/// </summary>
static unsafe class Scratch
{
    const int Alignment = 64;

    // On the pinned heap, so that its address stays.
    [ThreadStatic]
    static float[]? memory;

    /// <summary>At least that many floats, the first at a cache line's start. Whatever was there is lost.</summary>
    public static float* Get(int floats)
    {
        int length = checked(floats + Alignment / sizeof(float));
        float[]? block = memory;
        if (block is null || block.Length < length)
            memory = block = GC.AllocateUninitializedArray<float>(length, pinned: true);
        fixed (float* address = block)
            return (float*)(((nuint)address + Alignment - 1) & ~(nuint)(Alignment - 1));
    }
}
