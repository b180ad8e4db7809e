using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Writes one panel of a <see cref="PackedMatrix"/>. What fills up its last vector is zero from the start and stays so.
/// </summary>
static unsafe class MatrixPacking
{
    const int Lanes = PackedMatrix.Lanes;

    /// <summary>From rows of the panel's columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows(float* source, nint stride, int steps, int columns, float* panel)
    {
        if (columns > Lanes)
        {
            for (int k = 0; k < steps; k++, source += stride, panel += 2 * Lanes)
            {
                Vector512.Load(source).StoreAligned(panel);
                Partial.Load(source + Lanes, columns - Lanes).StoreAligned(panel + Lanes);
            }
        }
        else
        {
            for (int k = 0; k < steps; k++, source += stride, panel += Lanes)
                Partial.Load(source, columns).StoreAligned(panel);
        }
    }

    /// <summary>From one row for each of the panel's columns, four by four.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Columns(float* source, nint stride, int steps, int columns, float* panel)
    {
        nint width = columns > Lanes ? 2 * Lanes : Lanes;
        int column = 0;
        for (; column + 4 <= columns; column += 4, source += 4 * stride, panel += 4)
        {
            float* target = panel;
            int k = 0;
            for (; k + 4 <= steps; k += 4, target += 4 * width)
                Transpose(source + k, stride, target, width);
            for (; k < steps; k++, target += width)
            {
                for (int i = 0; i < 4; i++)
                    target[i] = source[i * stride + k];
            }
        }
        for (; column < columns; column++, source += stride, panel++)
        {
            for (int k = 0; k < steps; k++)
                panel[k * width] = source[k];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Transpose(float* source, nint stride, float* target, nint width)
    {
        Vector128<float> a = Vector128.Load(source), b = Vector128.Load(source + stride);
        Vector128<float> c = Vector128.Load(source + 2 * stride), d = Vector128.Load(source + 3 * stride);
        Vector128<float> abLower = ZipLower(a, b), abUpper = ZipUpper(a, b);
        Vector128<float> cdLower = ZipLower(c, d), cdUpper = ZipUpper(c, d);
        PairLower(abLower, cdLower).Store(target);
        PairUpper(abLower, cdLower).Store(target + width);
        PairLower(abUpper, cdUpper).Store(target + 2 * width);
        PairUpper(abUpper, cdUpper).Store(target + 3 * width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> ZipLower(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.UnpackLow(x, y)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(x, y)
        : Vector128.Create(x[0], y[0], x[1], y[1]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> ZipUpper(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.UnpackHigh(x, y)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(x, y)
        : Vector128.Create(x[2], y[2], x[3], y[3]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> PairLower(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.MoveLowToHigh(x, y) : Vector128.Create(x.GetLower(), y.GetLower());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> PairUpper(Vector128<float> x, Vector128<float> y) =>
        Sse.IsSupported ? Sse.MoveHighToLow(y, x) : Vector128.Create(x.GetUpper(), y.GetUpper());
}
