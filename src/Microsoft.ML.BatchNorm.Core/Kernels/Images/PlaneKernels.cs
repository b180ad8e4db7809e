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

    /// <summary><c>y = x · factor</c>, with one factor per plane; planes of one value have one each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(float* x, float* factors, int planes, int length, float* y)
    {
        if (length == 1)
        {
            int i = 0;
            for (; i <= planes - Simd.Floats; i += Simd.Floats)
                (Vector512.Load(x + i) * Vector512.Load(factors + i)).Store(y + i);
            for (; i < planes; i++)
                y[i] = x[i] * factors[i];
            return;
        }
        for (int plane = 0; plane < planes; plane++, x += length, y += length)
        {
            Vector512<float> factor = Vector512.Create(factors[plane]);
            int i = 0;
            for (; i <= length - Simd.Floats; i += Simd.Floats)
                (Vector512.Load(x + i) * factor).Store(y + i);
            for (; i < length; i++)
                y[i] = x[i] * factors[plane];
        }
    }

    /// <summary><c>Σ x · y</c> over each plane, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SumProducts(float* x, float* y, int planes, int length, float* sums)
    {
        for (int plane = 0; plane < planes; plane++, x += length, y += length)
        {
            Vector512<double> lower = default, upper = default;
            for (int i = 0; i < length; i += Simd.Floats)
            {
                int count = Math.Min(Simd.Floats, length - i);
                Vector512<float> a = Simd.LoadPart(x + i, count), b = Simd.LoadPart(y + i, count);
                lower = Simd.MultiplyAdd(Vector512.WidenLower(a), Vector512.WidenLower(b), lower);
                upper = Simd.MultiplyAdd(Vector512.WidenUpper(a), Vector512.WidenUpper(b), upper);
            }
            sums[plane] = (float)Simd.Sum(lower + upper);
        }
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

    /// <summary><c>y = x / divisor</c>, value by value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Divide(float* x, float* divisors, int length, float* y)
    {
        int i = 0;
        for (; i <= length - Simd.Floats; i += Simd.Floats)
            (Vector512.Load(x + i) / Vector512.Load(divisors + i)).Store(y + i);
        for (; i < length; i++)
            y[i] = x[i] / divisors[i];
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
