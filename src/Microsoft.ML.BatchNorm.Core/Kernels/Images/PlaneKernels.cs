using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>What is done to all values of a channel, which lie behind one another at any address.</summary>
static unsafe class PlaneKernels
{
    /// <summary><c>Σ x</c>, in double.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Sum(float* x, int length)
    {
        Vector512<double> lower = default, upper = default;
        int i = 0;
        for (; i <= length - Vectors.Floats; i += Vectors.Floats)
        {
            Vector512<float> value = Vector512.Load(x + i);
            lower += Vector512.WidenLower(value);
            upper += Vector512.WidenUpper(value);
        }
        if (i < length)
        {
            Vector512<float> value = Partial.Load(x + i, length - i);
            lower += Vector512.WidenLower(value);
            upper += Vector512.WidenUpper(value);
        }
        return Wide.Sum(lower + upper);
    }

    /// <summary><c>y = x / divisor</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Divide(float* x, int length, float divisor, float* y)
    {
        Vector512<float> divisors = Vector512.Create(divisor);
        int i = 0;
        for (; i <= length - Vectors.Floats; i += Vectors.Floats)
            (Vector512.Load(x + i) / divisors).Store(y + i);
        if (i < length)
            Partial.Store(Partial.Load(x + i, length - i) / divisors, y + i, length - i);
    }

    /// <summary><c>sum = Σ terms</c>, term by term in their order; whole vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Merge(float* terms, nint distance, int count, float* sum, int length)
    {
        for (int i = 0; i < length; i += Vectors.Floats)
        {
            Vector512<float> value = Vector512.Load(terms + i);
            for (int term = 1; term < count; term++)
                value += Vector512.Load(terms + term * distance + i);
            value.Store(sum + i);
        }
    }
}
