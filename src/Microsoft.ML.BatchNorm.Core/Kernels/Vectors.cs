using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>What the kernels of training say about a vector of floats.</summary>
static unsafe class Vectors
{
    /// <summary>The floats in a vector.</summary>
    public const int Floats = 16;

    /// <summary>A number of floats in whole vectors.</summary>
    public static int RoundUp(int floats) => checked(floats + Floats - 1) & ~(Floats - 1);

    /// <summary>Adds what is 0 while all values are finite, and no number once one is not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Poison(Vector512<float> value, Vector512<float> poison) =>
        Vector512.MultiplyAddEstimate(value, Vector512<float>.Zero, poison);

    /// <summary>Whether all of the floats, whole vectors of them, are finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool AreFinite(float* values, nint length)
    {
        Vector512<float> even = default, odd = default;
        nint i = 0;
        for (; i <= length - 2 * Floats; i += 2 * Floats)
        {
            even = Poison(Vector512.Load(values + i), even);
            odd = Poison(Vector512.Load(values + i + Floats), odd);
        }
        for (; i < length; i += Floats)
            even = Poison(Vector512.Load(values + i), even);
        return Vector512.EqualsAll(even + odd, Vector512<float>.Zero);
    }
}
