using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <c>y = (x − center)·scale + shift</c> over one row of features, of at least a quarter of a vector and at most one
/// period of the parameters. The bits are those of <see cref="AffineKernel{T}"/>. Each method returns false if an input
/// is not finite.
/// </summary>
/// <remarks>
/// Most often the row has just been copied to its place: rows of up to 64 bytes by quarters of a vector, longer ones by
/// vectors and then by quarters, of which the last may overlap. A load that spans two of these stores waits until both
/// have left the processor's store buffer, some 4 ns. Each load here therefore reads what a single store has written.
/// For rows of 256 bytes and more that takes an <see cref="AlignedArray"/>.
/// </remarks>
static class RowKernel
{
    /// <summary>
    /// The most vectors that are checked with one sum of poison; with more, waiting for that sum would dominate.
    /// </summary>
    public const int MostWhole = 8;

    /// <summary>A row of whole vectors, at most <see cref="MostWhole"/> of them.</summary>
    /// <param name="x">The input.</param>
    /// <param name="y">The output; may be the input.</param>
    /// <param name="length">The number of values.</param>
    /// <param name="center">Center, scale and shift, <paramref name="stride"/> apart.</param>
    /// <param name="stride">The distance from one parameter to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Whole<T>(ref T x, ref T y, nuint length, ref T center, nuint stride) where T : unmanaged
    {
        ref T scale = ref Unsafe.Add(ref center, stride), shift = ref Unsafe.Add(ref scale, stride);
        nuint vector = (nuint)Vector512<T>.Count, last = length - vector, i = 0;
        Vector512<T> poison = Vector512<T>.Zero;
        for (; i < last; i += vector)
            One(ref x, i, ref y, ref center, ref scale, ref shift, ignoreNonFinite: false, ref poison);
        Vector512<T> lastValue = LoadLast(ref x, last);
        poison = Simd.MultiplyAdd(lastValue, Vector512<T>.Zero, poison);
        Write(lastValue, last, ref y, ref center, ref scale, ref shift, ignoreNonFinite: false);
        return Vector512.EqualsAll(poison, Vector512<T>.Zero);
    }

    /// <summary>A row of at most a vector: quarters at the offsets that <see cref="PieceOffsets"/> gives.</summary>
    /// <param name="x">The input.</param>
    /// <param name="y">The output; may be the input.</param>
    /// <param name="length">The number of values.</param>
    /// <param name="center">Center, scale and shift, one vector each, in the same quarters.</param>
    /// <param name="ignoreNonFinite">Whether inputs that are not finite pass through unchanged.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Pieces<T>(ref T x, ref T y, nuint length, ref T center, bool ignoreNonFinite) where T : unmanaged
    {
        nuint vector = (nuint)Vector512<T>.Count;
        (nuint second, nuint third, nuint fourth) = PieceOffsets<T>(length);
        Vector512<T> value = Join(
            Vector128.LoadUnsafe(ref x), Vector128.LoadUnsafe(ref x, second),
            Vector128.LoadUnsafe(ref x, third), Vector128.LoadUnsafe(ref x, fourth));
        Vector512<T> mapped = Map(
            value, 0, ref center, ref Unsafe.Add(ref center, vector), ref Unsafe.Add(ref center, 2 * vector),
            ignoreNonFinite);
        mapped.GetLower().GetLower().StoreUnsafe(ref y);
        mapped.GetLower().GetUpper().StoreUnsafe(ref y, second);
        mapped.GetUpper().GetLower().StoreUnsafe(ref y, third);
        mapped.GetUpper().GetUpper().StoreUnsafe(ref y, fourth);
        return Simd.AreFinite(value);
    }

    /// <summary>Where the quarters after the first begin; in a row shorter than a vector they overlap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (nuint Second, nuint Third, nuint Fourth) PieceOffsets<T>(nuint length) where T : unmanaged
    {
        nuint quarter = (nuint)Vector128<T>.Count, last = length - quarter;
        return (nuint.Min(quarter, last), nuint.Min(2 * quarter, last), last);
    }

    /// <summary>A row of at least a vector, whose last one may overlap the one before it.</summary>
    /// <param name="x">The input.</param>
    /// <param name="y">The output; may be the input.</param>
    /// <param name="length">The number of values.</param>
    /// <param name="center">Center, scale and shift, <paramref name="stride"/> apart.</param>
    /// <param name="stride">The distance from one parameter to the next.</param>
    /// <param name="ignoreNonFinite">Whether inputs that are not finite pass through unchanged.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Overlapping<T>(
        ref T x, ref T y, nuint length, ref T center, nuint stride, bool ignoreNonFinite) where T : unmanaged
    {
        ref T scale = ref Unsafe.Add(ref center, stride), shift = ref Unsafe.Add(ref scale, stride);
        nuint vector = (nuint)Vector512<T>.Count, last = length - vector, i = 0;
        // Read first: the vector before it shares some of its values, and overwrites them.
        Vector512<T> lastValue = LoadLast(ref x, last), poison = lastValue * Vector512<T>.Zero;
        if (length > 4 * vector)
        {
            // Four sums of poison, so that none waits for the one before.
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
        poison = Simd.MultiplyAdd(value, Vector512<T>.Zero, poison);
        Write(value, at, ref y, ref center, ref scale, ref shift, ignoreNonFinite);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<T> LoadLast<T>(ref T x, nuint at) where T : unmanaged
    {
        nuint quarter = (nuint)Vector128<T>.Count;
        return Join(
            Vector128.LoadUnsafe(ref x, at), Vector128.LoadUnsafe(ref x, at + quarter),
            Vector128.LoadUnsafe(ref x, at + 2 * quarter), Vector128.LoadUnsafe(ref x, at + 3 * quarter));
    }

    // Vector512.Create would first load from the stack, where calls have just stored.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<T> Join<T>(Vector128<T> first, Vector128<T> second, Vector128<T> third, Vector128<T> fourth)
        where T : unmanaged =>
        first.ToVector256Unsafe().WithUpper(second).ToVector512Unsafe()
            .WithUpper(third.ToVector256Unsafe().WithUpper(fourth));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Write<T>(
        Vector512<T> value, nuint at, ref T y, ref T center, ref T scale, ref T shift, bool ignoreNonFinite)
        where T : unmanaged =>
        Map(value, at, ref center, ref scale, ref shift, ignoreNonFinite).StoreUnsafe(ref y, at);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<T> Map<T>(
        Vector512<T> value, nuint at, ref T center, ref T scale, ref T shift, bool ignoreNonFinite)
        where T : unmanaged
    {
        Vector512<T> mapped = Simd.MultiplyAdd(
            value - Vector512.LoadUnsafe(ref center, at), Vector512.LoadUnsafe(ref scale, at),
            Vector512.LoadUnsafe(ref shift, at));
        return ignoreNonFinite ? Vector512.ConditionalSelect(Simd.IsFinite(value), mapped, value) : mapped;
    }
}
