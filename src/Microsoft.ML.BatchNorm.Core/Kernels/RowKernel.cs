using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// <c>y = (x − center)·scale + shift</c> over one row of features, of at least a vector and at most a period of the
/// parameters: the bits of <see cref="AffineKernel{T}"/> without what long arrays need.
/// </summary>
static class RowKernel
{
    /// <summary>False where an input was not finite.</summary>
    /// <param name="x">The input.</param>
    /// <param name="y">The output; may be the input.</param>
    /// <param name="length">The number of values.</param>
    /// <param name="center">Center, scale and shift, <paramref name="stride"/> apart.</param>
    /// <param name="stride">The distance from one parameter to the next.</param>
    /// <param name="ignoreNonFinite">Whether inputs that are not finite pass through unchanged.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Map<T>(ref T x, ref T y, nuint length, ref T center, nuint stride, bool ignoreNonFinite)
        where T : unmanaged
    {
        ref T scale = ref Unsafe.Add(ref center, stride), shift = ref Unsafe.Add(ref scale, stride);
        nuint vector = (nuint)Vector512<T>.Count, last = length - vector, i = 0;
        // Read before its first values, which the vector before it shares, are written over.
        Vector512<T> lastValue = Load(ref x, last), poison = lastValue * Vector512<T>.Zero;
        if (length > 4 * vector)
        {
            // Four sums of poison, since each waits for itself.
            Vector512<T> second = Vector512<T>.Zero, third = second, fourth = second;
            for (; i + 4 * vector <= last; i += 4 * vector)
            {
                One(ref x, i, ref y, ref center, ref scale, ref shift, ignoreNonFinite, ref poison);
                One(ref x, i + vector, ref y, ref center, ref scale, ref shift, ignoreNonFinite, ref second);
                One(ref x, i + 2 * vector, ref y, ref center, ref scale, ref shift, ignoreNonFinite, ref third);
                One(ref x, i + 3 * vector, ref y, ref center, ref scale, ref shift, ignoreNonFinite, ref fourth);
            }
            poison += second + (third + fourth);
        }
        for (; i < last; i += vector)
            One(ref x, i, ref y, ref center, ref scale, ref shift, ignoreNonFinite, ref poison);
        Write(lastValue, last, ref y, ref center, ref scale, ref shift, ignoreNonFinite);
        return Vector512.EqualsAll(poison, Vector512<T>.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void One<T>(
        ref T x, nuint at, ref T y, ref T center, ref T scale, ref T shift, bool ignoreNonFinite,
        ref Vector512<T> poison)
        where T : unmanaged
    {
        Vector512<T> value = Vector512.LoadUnsafe(ref x, at);
        poison = Lanes.MultiplyAdd(value, Vector512<T>.Zero, poison);
        Write(value, at, ref y, ref center, ref scale, ref shift, ignoreNonFinite);
    }

    /// <summary>
    /// A vector by its quarters. The row has just been copied to where it is, its end in pieces of 16 bytes, and a load
    /// of more than one of them would wait until all have left the processor's store buffer: 4 ns.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<T> Load<T>(ref T x, nuint at) where T : unmanaged
    {
        nuint quarter = (nuint)Vector128<T>.Count;
        return Vector512.Create(
            Vector256.Create(Vector128.LoadUnsafe(ref x, at), Vector128.LoadUnsafe(ref x, at + quarter)),
            Vector256.Create(Vector128.LoadUnsafe(ref x, at + 2 * quarter), Vector128.LoadUnsafe(ref x, at + 3 * quarter)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Write<T>(
        Vector512<T> value, nuint at, ref T y, ref T center, ref T scale, ref T shift, bool ignoreNonFinite)
        where T : unmanaged
    {
        Vector512<T> mapped = Lanes.MultiplyAdd(
            value - Vector512.LoadUnsafe(ref center, at), Vector512.LoadUnsafe(ref scale, at),
            Vector512.LoadUnsafe(ref shift, at));
        if (ignoreNonFinite)
            mapped = Vector512.ConditionalSelect(Lanes.IsFinite(value), mapped, value);
        mapped.StoreUnsafe(ref y, at);
    }
}
