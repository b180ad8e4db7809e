using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Sums and quotients of values that lie one after the other, at any address.</summary>
static unsafe class PlaneKernels
{
    /// <summary><c>Σ x</c>, in double.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Sum(float* x, int length)
    {
        Vector512<double> lower = default, upper = default;
        int i = 0;
        for (; i <= length - Simd.Floats; i += Simd.Floats)
        {
            Vector512<float> value = Vector512.Load(x + i);
            lower += Vector512.WidenLower(value);
            upper += Vector512.WidenUpper(value);
        }
        if (i < length)
        {
            Vector512<float> value = Simd.LoadPart(x + i, length - i);
            lower += Vector512.WidenLower(value);
            upper += Vector512.WidenUpper(value);
        }
        return Simd.Sum(lower + upper);
    }

    /// <summary>The mean of each of several planes of the same length.</summary>
    public static void Means(float* x, int planes, int length, float* means)
    {
        for (int plane = 0; plane < planes; plane++, x += length)
            means[plane] = (float)(Sum(x, length) / length);
    }

    /// <summary><c>Σ x</c> of each column of rows, rounded once; whole vectors of columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SumColumns(float* x, nint stride, int rows, int columns, float* sums)
    {
        for (int c = 0; c < columns; c += Simd.Floats)
        {
            Vector512<double> lower = default, upper = default;
            float* value = x + c;
            for (int row = 0; row < rows; row++, value += stride)
            {
                Vector512<float> v = Vector512.Load(value);
                lower += Vector512.WidenLower(v);
                upper += Vector512.WidenUpper(v);
            }
            Vector512.Narrow(lower, upper).Store(sums + c);
        }
    }

    /// <summary><c>y = x / divisor</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Divide(float* x, int length, float divisor, float* y)
    {
        Vector512<float> divisors = Vector512.Create(divisor);
        int i = 0;
        for (; i <= length - Simd.Floats; i += Simd.Floats)
            (Vector512.Load(x + i) / divisors).Store(y + i);
        if (i < length)
            Simd.StorePart(Simd.LoadPart(x + i, length - i) / divisors, y + i, length - i);
    }

    /// <summary><c>sum = Σ terms</c>, in the order of the terms; whole vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Merge(float* terms, nint distance, int count, float* sum, int length)
    {
        for (int i = 0; i < length; i += Simd.Floats)
        {
            Vector512<float> value = Vector512.Load(terms + i);
            for (int term = 1; term < count; term++)
                value += Vector512.Load(terms + term * distance + i);
            value.Store(sum + i);
        }
    }
}
