using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Whether all numbers are finite, and where the first one is that is not.</summary>
static class Finite
{
    /// <summary>Whether all values are finite. Reads all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool All<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        ref T first = ref MemoryMarshal.GetReference(values);
        int vector = Vector512<T>.Count, i = 0;
        Vector512<T> even = Vector512<T>.Zero, odd = even;
        for (; i <= values.Length - 2 * vector; i += 2 * vector)
        {
            even = Simd.Poison(Vector512.LoadUnsafe(ref first, (nuint)i), even);
            odd = Simd.Poison(Vector512.LoadUnsafe(ref first, (nuint)(i + vector)), odd);
        }
        for (; i <= values.Length - vector; i += vector)
            even = Simd.Poison(Vector512.LoadUnsafe(ref first, (nuint)i), even);
        bool finite = Vector512.EqualsAll(even + odd, Vector512<T>.Zero);
        for (; i < values.Length; i++)
            finite &= Simd.IsFinite(values[i]);
        return finite;
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
