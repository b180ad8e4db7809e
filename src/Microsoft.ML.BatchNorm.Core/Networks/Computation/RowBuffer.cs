using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Some floats for each row of a batch, each row from an aligned address on and filled up to whole vectors, so that
/// kernels need no tails. What fills up is finite.
/// </summary>
/// <param name="width">The number of values in a row.</param>
sealed unsafe class RowBuffer(int width)
{
    /// <summary>Rows that lie a multiple of this many floats apart crowd into a few sets of the first cache.</summary>
    const int CrowdedStride = 128;

    AlignedMemory<float> memory = new(0);

    /// <summary>The number of values in a row.</summary>
    public int Width => width;

    /// <summary>The same in whole vectors.</summary>
    public int Columns { get; } = Simd.RoundUp(width);

    /// <summary>The floats from a row to the next.</summary>
    public int Stride { get; } = Simd.RoundUp(width) % CrowdedStride == 0
        ? Simd.RoundUp(width) + Simd.Floats
        : Simd.RoundUp(width);

    /// <summary>The number of rows that there is room for.</summary>
    public int Capacity { get; private set; }

    /// <summary>The first value of a row.</summary>
    public float* Row(int row) => memory.Start + (nint)row * Stride;

    /// <summary>Makes room for that many rows; where there was less, all values are 0 then.</summary>
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
