using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// The most arithmetic that one processor can do: fused multiply-adds that wait for nothing, neither memory nor, since
/// there are as many sums as are under way at once, each other.
/// </summary>
static class ProcessorPeak
{
    const int Steps = 1000;
    static Vector512<float> sink;

    /// <summary>Operations in a run; a multiply-add is two.</summary>
    public static double Operations => Steps * Sums * Vector512<float>.Count * 2.0;

    /// <summary>Sums that stay in registers, of which there are half as many where a vector takes two.</summary>
    static int Sums => Vector512.IsHardwareAccelerated ? 12 : 6;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run()
    {
        Vector512<float> x = Vector512.Create(1f), a = sink, b = a, c = a, d = a, e = a, f = a;
        Vector512<float> g = a, h = a, i = a, j = a, k = a, l = a;
        for (int step = 0; step < Steps; step++)
        {
            a = Vector512.FusedMultiplyAdd(x, x, a);
            b = Vector512.FusedMultiplyAdd(x, x, b);
            c = Vector512.FusedMultiplyAdd(x, x, c);
            d = Vector512.FusedMultiplyAdd(x, x, d);
            e = Vector512.FusedMultiplyAdd(x, x, e);
            f = Vector512.FusedMultiplyAdd(x, x, f);
            if (Sums > 6)
            {
                g = Vector512.FusedMultiplyAdd(x, x, g);
                h = Vector512.FusedMultiplyAdd(x, x, h);
                i = Vector512.FusedMultiplyAdd(x, x, i);
                j = Vector512.FusedMultiplyAdd(x, x, j);
                k = Vector512.FusedMultiplyAdd(x, x, k);
                l = Vector512.FusedMultiplyAdd(x, x, l);
            }
        }
        sink = a + b + c + d + e + f + g + h + i + j + k + l;
    }
}
