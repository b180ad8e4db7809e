using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Whether all numbers are finite, and where the first one is that is not.</summary>
static class Finite
{
    /// <summary>Whether all values are finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool All<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        int vector = Vector512<T>.Count, i = 0;
        if (values.Length < vector)
        {
            while (i < values.Length && Simd.IsFinite(values[i]))
                i++;
            return i == values.Length;
        }
        ref T first = ref MemoryMarshal.GetReference(values);
        // The last vector may overlap the one before it.
        Vector512<T> even = Simd.Poison(Vector512.LoadUnsafe(ref first, (nuint)(values.Length - vector)), default);
        Vector512<T> odd = Vector512<T>.Zero;
        for (; i <= values.Length - 2 * vector; i += 2 * vector)
        {
            even = Simd.Poison(Vector512.LoadUnsafe(ref first, (nuint)i), even);
            odd = Simd.Poison(Vector512.LoadUnsafe(ref first, (nuint)(i + vector)), odd);
        }
        if (i <= values.Length - vector)
            even = Simd.Poison(Vector512.LoadUnsafe(ref first, (nuint)i), even);
        return Vector512.EqualsAll(even + odd, Vector512<T>.Zero);
    }

    /// <summary>The index of the first value that is not finite, or −1.</summary>
    public static int IndexOf<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        int vector = Vector512<T>.Count, i = 0;
        while (i <= values.Length - vector && Simd.AreFinite(Vector512.Create(values.Slice(i, vector))))
            i += vector;
        for (; i < values.Length; i++)
        {
            if (!Simd.IsFinite(values[i]))
                return i;
        }
        return -1;
    }
}
