using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One tile of a product: <typeparamref name="TRows"/> rows by <typeparamref name="TVectors"/> vectors (1 or 2) of a
/// panel. Its sums stay in registers from the first step to the last. Each sum is a variable of its own, since the
/// compiler would keep an array of vectors in memory. Rows and vectors that the tile does not have make no code.
/// </summary>
static unsafe class TileKernel<TRows, TVectors>
    where TRows : struct, ICompileTimeInt
    where TVectors : struct, ICompileTimeInt
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(in TileOperands operands)
    {
        nint row = operands.RowStride, twoRows = 2 * row, step = operands.StepStride, width = operands.PanelWidth;
        // One address for three rows, so that the registers suffice.
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
            Vector512<float> b1 = TVectors.Value > 1 ? Vector512.Load(b + Simd.Floats) : b0;
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
            d = Simd.LoadPart(source + Simd.Floats, last);
        }
        else
        {
            c = Simd.LoadPart(source, last);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(float* target, int last, Vector512<float> c, Vector512<float> d)
    {
        if (TVectors.Value > 1)
        {
            c.Store(target);
            Simd.StorePart(d, target + Simd.Floats, last);
        }
        else
        {
            Simd.StorePart(c, target, last);
        }
    }
}

/// <summary>
/// One row of a product: <typeparamref name="TVectors"/> (1 to 8) vectors, side by side in up to four panels. Each sum
/// waits for its step before, so that a tile of one row, with two sums, would not keep the processor busy.
/// </summary>
static unsafe class SingleRowKernel<TVectors>
    where TVectors : struct, ICompileTimeInt
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
            if (TVectors.Value > 1) c1 = MultiplyAdd(x, b0 + Simd.Floats, c1);
            if (TVectors.Value > 2) c2 = MultiplyAdd(x, b1, c2);
            if (TVectors.Value > 3) c3 = MultiplyAdd(x, b1 + Simd.Floats, c3);
            if (TVectors.Value > 4) c4 = MultiplyAdd(x, b2, c4);
            if (TVectors.Value > 5) c5 = MultiplyAdd(x, b2 + Simd.Floats, c5);
            if (TVectors.Value > 6) c6 = MultiplyAdd(x, b3, c6);
            if (TVectors.Value > 7) c7 = MultiplyAdd(x, b3 + Simd.Floats, c7);
            b0 += TVectors.Value > 1 ? 2 * Simd.Floats : Simd.Floats;
            if (TVectors.Value > 2) b1 += TVectors.Value > 3 ? 2 * Simd.Floats : Simd.Floats;
            if (TVectors.Value > 4) b2 += TVectors.Value > 5 ? 2 * Simd.Floats : Simd.Floats;
            if (TVectors.Value > 6) b3 += TVectors.Value > 7 ? 2 * Simd.Floats : Simd.Floats;
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> MultiplyAdd(Vector512<float> x, float* b, Vector512<float> c) =>
        Vector512.FusedMultiplyAdd(x, Vector512.Load(b), c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Load(int vector, float* row, int last) =>
        vector + 1 < TVectors.Value
            ? Vector512.Load(row + vector * Simd.Floats)
            : Simd.LoadPart(row + vector * Simd.Floats, last);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(int vector, Vector512<float> sum, float* row, int last)
    {
        if (vector + 1 < TVectors.Value)
            sum.Store(row + vector * Simd.Floats);
        else
            Simd.StorePart(sum, row + vector * Simd.Floats, last);
    }
}

/// <summary>Calls the code for a tile of 1 to 14 rows, or for a single row of 1 to 8 vectors.</summary>
static class MatrixTile
{
    /// <summary>
    /// The most rows of a tile: with two vectors of sums per row, two of B and one of A, it fills 32 registers. If the
    /// runtime splits vectors in two, six rows with one vector of sums fill 16.
    /// </summary>
    public static int MaxRows => Vector512.IsHardwareAccelerated ? 14 : 6;

    /// <summary>The number of vectors in a row of a tile.</summary>
    public static int RowVectors => Vector512.IsHardwareAccelerated ? 2 : 1;

    /// <summary>The most vectors of a single row: the number of sums that the processor can work on at once.</summary>
    public static int MaxRowVectors => Vector512.IsHardwareAccelerated ? 8 : 4;

    public static void Run<TVectors>(int rows, in TileOperands operands) where TVectors : struct, ICompileTimeInt
    {
        switch (rows)
        {
            case 1: TileKernel<Count1, TVectors>.Run(operands); break;
            case 2: TileKernel<Count2, TVectors>.Run(operands); break;
            case 3: TileKernel<Count3, TVectors>.Run(operands); break;
            case 4: TileKernel<Count4, TVectors>.Run(operands); break;
            case 5: TileKernel<Count5, TVectors>.Run(operands); break;
            case 6: TileKernel<Count6, TVectors>.Run(operands); break;
            case 7: TileKernel<Count7, TVectors>.Run(operands); break;
            case 8: TileKernel<Count8, TVectors>.Run(operands); break;
            case 9: TileKernel<Count9, TVectors>.Run(operands); break;
            case 10: TileKernel<Count10, TVectors>.Run(operands); break;
            case 11: TileKernel<Count11, TVectors>.Run(operands); break;
            case 12: TileKernel<Count12, TVectors>.Run(operands); break;
            case 13: TileKernel<Count13, TVectors>.Run(operands); break;
            default: TileKernel<Count14, TVectors>.Run(operands); break;
        }
    }

    public static void RunRow(int vectors, in TileOperands operands, nint panel)
    {
        switch (vectors)
        {
            case 1: SingleRowKernel<Count1>.Run(operands, panel); break;
            case 2: SingleRowKernel<Count2>.Run(operands, panel); break;
            case 3: SingleRowKernel<Count3>.Run(operands, panel); break;
            case 4: SingleRowKernel<Count4>.Run(operands, panel); break;
            case 5: SingleRowKernel<Count5>.Run(operands, panel); break;
            case 6: SingleRowKernel<Count6>.Run(operands, panel); break;
            case 7: SingleRowKernel<Count7>.Run(operands, panel); break;
            default: SingleRowKernel<Count8>.Run(operands, panel); break;
        }
    }
}

/// <summary>What a tile of <c>C = A·B</c> reads and writes. Strides are in elements.</summary>
unsafe struct TileOperands
{
    /// <summary>A, row by <see cref="RowStride"/>, step of the sums by <see cref="StepStride"/>.</summary>
    public float* A;

    public nint RowStride, StepStride;

    /// <summary>The panel's columns at the first step.</summary>
    public float* B;

    /// <summary>From one step to the next in the panel.</summary>
    public nint PanelWidth;

    /// <summary>The number of steps of the sum.</summary>
    public nint Steps;

    /// <summary>What the sums start from, row by <see cref="StartStride"/>; null for zero.</summary>
    public float* Start;

    public nint StartStride;

    public float* C;

    public nint CStride;

    /// <summary>The columns of the last vector that C has, 1 to 16.</summary>
    public int LastColumns;
}

/// <summary>A number that the compiler knows, so that each makes code of its own.</summary>
interface ICompileTimeInt
{
    static abstract int Value { get; }
}

readonly struct Count1 : ICompileTimeInt { public static int Value => 1; }

readonly struct Count2 : ICompileTimeInt { public static int Value => 2; }

readonly struct Count3 : ICompileTimeInt { public static int Value => 3; }

readonly struct Count4 : ICompileTimeInt { public static int Value => 4; }

readonly struct Count5 : ICompileTimeInt { public static int Value => 5; }

readonly struct Count6 : ICompileTimeInt { public static int Value => 6; }

readonly struct Count7 : ICompileTimeInt { public static int Value => 7; }

readonly struct Count8 : ICompileTimeInt { public static int Value => 8; }

readonly struct Count9 : ICompileTimeInt { public static int Value => 9; }

readonly struct Count10 : ICompileTimeInt { public static int Value => 10; }

readonly struct Count11 : ICompileTimeInt { public static int Value => 11; }

readonly struct Count12 : ICompileTimeInt { public static int Value => 12; }

readonly struct Count13 : ICompileTimeInt { public static int Value => 13; }

readonly struct Count14 : ICompileTimeInt { public static int Value => 14; }
