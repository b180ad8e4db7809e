using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The same number of floats for each row of a batch. A row begins at an aligned address and is padded to whole
/// vectors, so that kernels need no code for the end of a row. The padding is finite.
/// </summary>
/// <param name="width">The number of values in a row.</param>
sealed unsafe class RowBuffer(int width)
{
    /// <summary>
    /// Rows whose distance is a multiple of this many floats share a few sets of the first-level cache and evict each
    /// other; such a distance is avoided.
    /// </summary>
    const int CrowdedStride = 128;

    AlignedMemory<float> memory = new(0);

    /// <summary>The number of values in a row.</summary>
    public int Width => width;

    /// <summary>The number of values in a row, rounded up to whole vectors.</summary>
    public int Columns { get; } = Simd.RoundUp(width);

    /// <summary>The number of floats from one row to the next.</summary>
    public int Stride { get; } = Simd.RoundUp(width) % CrowdedStride == 0
        ? Simd.RoundUp(width) + Simd.Floats
        : Simd.RoundUp(width);

    /// <summary>The number of rows that the memory holds.</summary>
    public int Capacity { get; private set; }

    /// <summary>The first value of a row.</summary>
    public float* Row(int row) => memory.Start + (nint)row * Stride;

    /// <summary>Makes the memory hold at least that many rows. If it grows, all values are 0 afterwards.</summary>
    public void Grow(int rows)
    {
        if (rows <= Capacity)
            return;
        memory = new AlignedMemory<float>((long)rows * Stride);
        Capacity = rows;
    }

    /// <summary>Copies the rows of a block to another buffer of the same width.</summary>
    public void CopyTo(RowBuffer target, RowBlock block) =>
        new ReadOnlySpan<float>(Row(block.First), block.Rows * Stride).CopyTo(
            new Span<float>(target.Row(block.First), block.Rows * Stride));

    /// <summary>Adds the rows of a block to those of another buffer of the same width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void AddTo(RowBuffer target, RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Row(row), y = target.Row(row);
            for (int i = 0; i < Columns; i += Simd.Floats)
                (Vector512.Load(y + i) + Vector512.Load(x + i)).Store(y + i);
        }
    }
}
