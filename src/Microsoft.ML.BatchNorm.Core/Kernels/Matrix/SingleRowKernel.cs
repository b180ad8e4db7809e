using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// One row of a product: <typeparamref name="TVectors"/> (1 to 8) vectors, side by side in up to four panels. Each
/// sum waits for its last step, and the two of a tile of one row would keep the processor waiting with them.
/// </summary>
static unsafe class SingleRowKernel<TVectors>
    where TVectors : struct, ICount
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(in TileOperands operands, nint panel)
    {
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default;
        Vector512<float> c4 = default, c5 = default, c6 = default, c7 = default;
        int last = operands.LastColumns;
        if (operands.Start != null)
        {
            float* start = operands.Start;
            c0 = Load(0, start, last);
            if (TVectors.Value > 1) c1 = Load(1, start, last);
            if (TVectors.Value > 2) c2 = Load(2, start, last);
            if (TVectors.Value > 3) c3 = Load(3, start, last);
            if (TVectors.Value > 4) c4 = Load(4, start, last);
            if (TVectors.Value > 5) c5 = Load(5, start, last);
            if (TVectors.Value > 6) c6 = Load(6, start, last);
            if (TVectors.Value > 7) c7 = Load(7, start, last);
        }
        float* a = operands.A, b0 = operands.B, b1 = b0 + panel, b2 = b1 + panel, b3 = b2 + panel;
        for (nint k = operands.Steps; k > 0; k--)
        {
            Vector512<float> x = Vector512.Create(*a);
            a += operands.StepStride;
            c0 = MultiplyAdd(x, b0, c0);
            if (TVectors.Value > 1) c1 = MultiplyAdd(x, b0 + Lanes, c1);
            if (TVectors.Value > 2) c2 = MultiplyAdd(x, b1, c2);
            if (TVectors.Value > 3) c3 = MultiplyAdd(x, b1 + Lanes, c3);
            if (TVectors.Value > 4) c4 = MultiplyAdd(x, b2, c4);
            if (TVectors.Value > 5) c5 = MultiplyAdd(x, b2 + Lanes, c5);
            if (TVectors.Value > 6) c6 = MultiplyAdd(x, b3, c6);
            if (TVectors.Value > 7) c7 = MultiplyAdd(x, b3 + Lanes, c7);
            b0 += TVectors.Value > 1 ? 2 * Lanes : Lanes;
            if (TVectors.Value > 2) b1 += TVectors.Value > 3 ? 2 * Lanes : Lanes;
            if (TVectors.Value > 4) b2 += TVectors.Value > 5 ? 2 * Lanes : Lanes;
            if (TVectors.Value > 6) b3 += TVectors.Value > 7 ? 2 * Lanes : Lanes;
        }
        float* c = operands.C;
        Store(0, c0, c, last);
        if (TVectors.Value > 1) Store(1, c1, c, last);
        if (TVectors.Value > 2) Store(2, c2, c, last);
        if (TVectors.Value > 3) Store(3, c3, c, last);
        if (TVectors.Value > 4) Store(4, c4, c, last);
        if (TVectors.Value > 5) Store(5, c5, c, last);
        if (TVectors.Value > 6) Store(6, c6, c, last);
        if (TVectors.Value > 7) Store(7, c7, c, last);
    }

    const int Lanes = PackedMatrix.Lanes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> MultiplyAdd(Vector512<float> x, float* b, Vector512<float> c) =>
        Vector512.FusedMultiplyAdd(x, Vector512.Load(b), c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Load(int vector, float* row, int last) =>
        vector + 1 < TVectors.Value ? Vector512.Load(row + vector * Lanes) : Partial.Load(row + vector * Lanes, last);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(int vector, Vector512<float> sum, float* row, int last)
    {
        if (vector + 1 < TVectors.Value)
            sum.Store(row + vector * Lanes);
        else
            Partial.Store(sum, row + vector * Lanes, last);
    }
}
