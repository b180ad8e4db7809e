using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// One tile of a product: <typeparamref name="TRows"/> rows by <typeparamref name="TVectors"/> vectors (1 or 2) of a
/// panel, whose sums stay in registers from the first step to the last. Each sum is a variable of its own, since the
/// compiler keeps an array of vectors in memory; a row or vector that the tile does not have leaves no code behind.
/// </summary>
static unsafe class TileKernel<TRows, TVectors>
    where TRows : struct, ICount
    where TVectors : struct, ICount
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(in TileOperands operands)
    {
        nint row = operands.RowStride, twoRows = 2 * row, step = operands.StepStride, width = operands.PanelWidth;
        // Three rows to an address, which leaves registers for all of them.
        float* a0 = operands.A, a3 = a0 + 3 * row, a6 = a3 + 3 * row, a9 = a6 + 3 * row, a12 = a9 + 3 * row;
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default;
        Vector512<float> c6 = default, c7 = default, c8 = default, c9 = default, c10 = default, c11 = default;
        Vector512<float> c12 = default, c13 = default;
        Vector512<float> d0 = default, d1 = default, d2 = default, d3 = default, d4 = default, d5 = default;
        Vector512<float> d6 = default, d7 = default, d8 = default, d9 = default, d10 = default, d11 = default;
        Vector512<float> d12 = default, d13 = default;
        int last = operands.LastColumns;
        if (operands.Start != null)
        {
            float* start = operands.Start;
            nint next = operands.StartStride;
            Load(start, last, ref c0, ref d0);
            if (TRows.Value > 1) Load(start += next, last, ref c1, ref d1);
            if (TRows.Value > 2) Load(start += next, last, ref c2, ref d2);
            if (TRows.Value > 3) Load(start += next, last, ref c3, ref d3);
            if (TRows.Value > 4) Load(start += next, last, ref c4, ref d4);
            if (TRows.Value > 5) Load(start += next, last, ref c5, ref d5);
            if (TRows.Value > 6) Load(start += next, last, ref c6, ref d6);
            if (TRows.Value > 7) Load(start += next, last, ref c7, ref d7);
            if (TRows.Value > 8) Load(start += next, last, ref c8, ref d8);
            if (TRows.Value > 9) Load(start += next, last, ref c9, ref d9);
            if (TRows.Value > 10) Load(start += next, last, ref c10, ref d10);
            if (TRows.Value > 11) Load(start += next, last, ref c11, ref d11);
            if (TRows.Value > 12) Load(start += next, last, ref c12, ref d12);
            if (TRows.Value > 13) Load(start += next, last, ref c13, ref d13);
        }
        float* b = operands.B;
        for (nint k = operands.Steps; k > 0; k--)
        {
            Vector512<float> b0 = Vector512.Load(b);
            Vector512<float> b1 = TVectors.Value > 1 ? Vector512.Load(b + PackedMatrix.Lanes) : b0;
            MultiplyAdd(*a0, b0, b1, ref c0, ref d0);
            if (TRows.Value > 1) MultiplyAdd(*(a0 + row), b0, b1, ref c1, ref d1);
            if (TRows.Value > 2) MultiplyAdd(*(a0 + twoRows), b0, b1, ref c2, ref d2);
            if (TRows.Value > 3) MultiplyAdd(*a3, b0, b1, ref c3, ref d3);
            if (TRows.Value > 4) MultiplyAdd(*(a3 + row), b0, b1, ref c4, ref d4);
            if (TRows.Value > 5) MultiplyAdd(*(a3 + twoRows), b0, b1, ref c5, ref d5);
            if (TRows.Value > 6) MultiplyAdd(*a6, b0, b1, ref c6, ref d6);
            if (TRows.Value > 7) MultiplyAdd(*(a6 + row), b0, b1, ref c7, ref d7);
            if (TRows.Value > 8) MultiplyAdd(*(a6 + twoRows), b0, b1, ref c8, ref d8);
            if (TRows.Value > 9) MultiplyAdd(*a9, b0, b1, ref c9, ref d9);
            if (TRows.Value > 10) MultiplyAdd(*(a9 + row), b0, b1, ref c10, ref d10);
            if (TRows.Value > 11) MultiplyAdd(*(a9 + twoRows), b0, b1, ref c11, ref d11);
            if (TRows.Value > 12) MultiplyAdd(*a12, b0, b1, ref c12, ref d12);
            if (TRows.Value > 13) MultiplyAdd(*(a12 + row), b0, b1, ref c13, ref d13);
            a0 += step;
            if (TRows.Value > 3) a3 += step;
            if (TRows.Value > 6) a6 += step;
            if (TRows.Value > 9) a9 += step;
            if (TRows.Value > 12) a12 += step;
            b += width;
        }
        float* c = operands.C;
        nint nextRow = operands.CStride;
        Store(c, last, c0, d0);
        if (TRows.Value > 1) Store(c += nextRow, last, c1, d1);
        if (TRows.Value > 2) Store(c += nextRow, last, c2, d2);
        if (TRows.Value > 3) Store(c += nextRow, last, c3, d3);
        if (TRows.Value > 4) Store(c += nextRow, last, c4, d4);
        if (TRows.Value > 5) Store(c += nextRow, last, c5, d5);
        if (TRows.Value > 6) Store(c += nextRow, last, c6, d6);
        if (TRows.Value > 7) Store(c += nextRow, last, c7, d7);
        if (TRows.Value > 8) Store(c += nextRow, last, c8, d8);
        if (TRows.Value > 9) Store(c += nextRow, last, c9, d9);
        if (TRows.Value > 10) Store(c += nextRow, last, c10, d10);
        if (TRows.Value > 11) Store(c += nextRow, last, c11, d11);
        if (TRows.Value > 12) Store(c += nextRow, last, c12, d12);
        if (TRows.Value > 13) Store(c += nextRow, last, c13, d13);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void MultiplyAdd(
        float x, Vector512<float> b0, Vector512<float> b1, ref Vector512<float> c, ref Vector512<float> d)
    {
        Vector512<float> xs = Vector512.Create(x);
        c = Vector512.FusedMultiplyAdd(xs, b0, c);
        if (TVectors.Value > 1)
            d = Vector512.FusedMultiplyAdd(xs, b1, d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Load(float* source, int last, ref Vector512<float> c, ref Vector512<float> d)
    {
        if (TVectors.Value > 1)
        {
            c = Vector512.Load(source);
            d = Partial.Load(source + PackedMatrix.Lanes, last);
        }
        else
        {
            c = Partial.Load(source, last);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(float* target, int last, Vector512<float> c, Vector512<float> d)
    {
        if (TVectors.Value > 1)
        {
            c.Store(target);
            Partial.Store(d, target + PackedMatrix.Lanes, last);
        }
        else
        {
            Partial.Store(c, target, last);
        }
    }
}
