using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.BatchNorm;

/// <summary>What all kernels do with vectors: constants, loads and stores, arithmetic and sums.</summary>
/// <remarks>
/// Everything is written over <see cref="Vector512"/>, which the runtime splits where the processor's vectors are
/// narrower. The order of all additions, and with it every bit of a result, is therefore the same on each processor
/// that has a fused multiply-add.
/// </remarks>
static unsafe class Simd
{
    /// <summary>The floats in a vector.</summary>
    public const int Floats = 16;

    /// <summary>The doubles in a vector.</summary>
    public const int Doubles = 8;

    /// <summary>The values that a sum in double takes at once, floats or doubles: two vectors of double.</summary>
    public const int Chunk = 2 * Doubles;

    /// <summary>The bytes of a vector and of a cache line.</summary>
    public const int Alignment = 64;

    /// <summary>A number of floats, rounded up to whole vectors.</summary>
    public static int RoundUp(int floats) => checked(floats + Floats - 1) & ~(Floats - 1);

    /// <summary>The first aligned address, at most 63 bytes further on.</summary>
    public static void* Align(void* memory) => (void*)(((nuint)memory + Alignment - 1) & ~(nuint)(Alignment - 1));

    /// <summary>
    /// The number of elements before the first one at an aligned address, at most <paramref name="length"/>.
    /// </summary>
    public static nint UnalignedHead<T>(T* target, nint length) where T : unmanaged =>
        nint.Min(length, (nint)((64 - ((nuint)target & 63)) & 63) / sizeof(T));

    /// <summary>Loads a <see cref="Chunk"/> of floats or doubles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadChunk<T>(T* source, out Vector512<double> lower, out Vector512<double> upper)
        where T : unmanaged
    {
        if (typeof(T) == typeof(float))
        {
            Vector512<float> values = Vector512.Load((float*)source);
            lower = Vector512.WidenLower(values);
            upper = Vector512.WidenUpper(values);
        }
        else
        {
            lower = Vector512.Load((double*)source);
            upper = Vector512.Load((double*)source + Doubles);
        }
    }

    /// <summary>Loads eight floats or doubles; the load itself widens floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> LoadEight<T>(T* source) where T : unmanaged =>
        typeof(T) == typeof(float)
            ? Vector512.WidenLower(Vector256.Load((float*)source).ToVector512Unsafe())
            : Vector512.Load((double*)source);

    /// <summary>Loads eight values, or as many as are left and zeros after them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> LoadEight(double* source, int left) =>
        left >= Doubles ? Vector512.Load(source) : LoadTail(source, left);

    /// <inheritdoc cref="LoadEight(double*, int)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> LoadEight(float* source, int left) =>
        Widen(left >= Doubles ? Vector256.Load(source) : LoadTail(source, left));

    /// <summary>Stores eight values, or as many as are left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreEight(Vector512<double> values, double* target, int left)
    {
        if (left >= Doubles)
            values.Store(target);
        else
            StoreTail(values, target, left);
    }

    /// <inheritdoc cref="StoreEight(Vector512{double}, double*, int)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreEight(Vector256<float> values, float* target, int left)
    {
        if (left >= Doubles)
            values.Store(target);
        else
            StoreTail(values, target, left);
    }

    /// <summary>Loads the first 1 to 16 floats of a vector, and touches nothing after them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadPart(float* source, int count) =>
        count == Floats ? Vector512.Load(source)
        : Avx512F.IsSupported ? Avx512F.MaskLoad(source, Mask(count), Vector512<float>.Zero)
        : Gather(source, count);

    /// <summary>Loads a vector, or what is left with <paramref name="fill"/> after it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source, int left, Vector512<float> fill) =>
        left >= Floats
            ? Vector512.Load(source)
            : Vector512.ConditionalSelect(Mask(left), LoadPart(source, left), fill);

    /// <summary>Stores the first 1 to 16 floats of a vector, and touches nothing after them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StorePart(Vector512<float> value, float* target, int count)
    {
        if (count == Floats)
            value.Store(target);
        else if (Avx512F.IsSupported)
            Avx512F.MaskStore(target, Mask(count), value);
        else
            StoreParts(value, target, count);
    }

    /// <summary>Stores a vector, or what is left of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* target, int left)
    {
        if (left >= Floats)
            value.Store(target);
        else
            StorePart(value, target, left);
    }

    /// <summary>Stores past the caches where <paramref name="streaming"/>, which needs an aligned target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(Vector512<T> value, T* target, bool streaming) where T : unmanaged
    {
        if (streaming)
            value.StoreAlignedNonTemporal(target);
        else
            value.Store(target);
    }

    /// <summary>All bits in the first <paramref name="count"/> lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Mask(int count) =>
        Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    /// <summary>Asks for the memory at an address, which need not exist, to be brought near.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(address);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Widen(Vector256<float> values) =>
        Vector512.Create(Vector256.WidenLower(values), Vector256.WidenUpper(values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Narrow(Vector512<double> values) =>
        Vector256.Narrow(values.GetLower(), values.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double ToDouble<T>(T value) where T : unmanaged =>
        typeof(T) == typeof(float) ? (float)(object)value : (double)(object)value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T FromDouble<T>(double value) where T : unmanaged =>
        typeof(T) == typeof(float) ? (T)(object)(float)value : (T)(object)value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> MultiplyAdd(Vector512<double> x, Vector512<double> y, Vector512<double> addend) =>
        Vector512.MultiplyAddEstimate(x, y, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> MultiplyAdd<T>(Vector512<T> x, Vector512<T> y, Vector512<T> addend) =>
        typeof(T) == typeof(float)
            ? Vector512.MultiplyAddEstimate(x.AsSingle(), y.AsSingle(), addend.AsSingle()).As<float, T>()
            : Vector512.MultiplyAddEstimate(x.AsDouble(), y.AsDouble(), addend.AsDouble()).As<double, T>();

    /// <summary>The same of one element, with the same rounding.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T MultiplyAdd<T>(T x, T y, T addend) where T : unmanaged =>
        typeof(T) == typeof(float)
            ? (T)(object)float.MultiplyAddEstimate((float)(object)x, (float)(object)y, (float)(object)addend)
            : (T)(object)double.MultiplyAddEstimate((double)(object)x, (double)(object)y, (double)(object)addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Subtract<T>(T x, T y) where T : unmanaged =>
        typeof(T) == typeof(float)
            ? (T)(object)((float)(object)x - (float)(object)y)
            : (T)(object)((double)(object)x - (double)(object)y);

    /// <summary>The sum of the eight, always in the same order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Sum(Vector512<double> v) =>
        ((v.GetElement(0) + v.GetElement(4)) + (v.GetElement(2) + v.GetElement(6)))
        + ((v.GetElement(1) + v.GetElement(5)) + (v.GetElement(3) + v.GetElement(7)));

    /// <summary>All bits where a lane is finite: there, and only there, <c>x − x</c> is 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> IsFinite<T>(Vector512<T> x) => Vector512.Equals(x - x, Vector512<T>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreFinite<T>(Vector512<T> x) => Vector512.EqualsAll(x - x, Vector512<T>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite<T>(T x) where T : unmanaged => double.IsFinite(ToDouble(x));

    /// <summary><c>poison + 0·value</c>: it stays 0 while all values are finite, and is NaN from the first that is
    /// not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> Poison<T>(Vector512<T> value, Vector512<T> poison) =>
        MultiplyAdd(value, Vector512<T>.Zero, poison);

    static Vector512<double> LoadTail(double* source, int left)
    {
        double* padded = stackalloc double[Doubles];
        new ReadOnlySpan<double>(source, left).CopyTo(new Span<double>(padded, Doubles));
        return Vector512.Load(padded);
    }

    static Vector256<float> LoadTail(float* source, int left)
    {
        float* padded = stackalloc float[Doubles];
        new ReadOnlySpan<float>(source, left).CopyTo(new Span<float>(padded, Doubles));
        return Vector256.Load(padded);
    }

    static void StoreTail(Vector512<double> values, double* target, int left)
    {
        double* padded = stackalloc double[Doubles];
        values.Store(padded);
        new ReadOnlySpan<double>(padded, left).CopyTo(new Span<double>(target, left));
    }

    static void StoreTail(Vector256<float> values, float* target, int left)
    {
        float* padded = stackalloc float[Doubles];
        values.Store(padded);
        new ReadOnlySpan<float>(padded, left).CopyTo(new Span<float>(target, left));
    }

    static Vector512<float> Gather(float* source, int count)
    {
        Vector512<float> values = default;
        for (int i = 0; i < count; i++)
            ((float*)&values)[i] = source[i];
        return values;
    }

    /// <summary>By powers of two: masks of narrower vectors are slow to store on some processors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void StoreParts(Vector512<float> value, float* target, int count)
    {
        Vector256<float> eight = value.GetLower();
        if ((count & 8) != 0)
        {
            eight.Store(target);
            target += 8;
            eight = value.GetUpper();
        }
        Vector128<float> four = eight.GetLower();
        if ((count & 4) != 0)
        {
            four.Store(target);
            target += 4;
            four = eight.GetUpper();
        }
        Vector64<float> two = four.GetLower();
        if ((count & 2) != 0)
        {
            two.Store(target);
            target += 2;
            two = four.GetUpper();
        }
        if ((count & 1) != 0)
            *target = two.ToScalar();
    }
}
