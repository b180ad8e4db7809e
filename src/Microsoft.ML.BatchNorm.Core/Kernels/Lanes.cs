using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Arithmetic on a vector of floats or doubles, and on one of its elements with the same rounding.</summary>
static unsafe class Lanes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> MultiplyAdd<T>(Vector512<T> x, Vector512<T> y, Vector512<T> addend) =>
        typeof(T) == typeof(float)
            ? Vector512.MultiplyAddEstimate(x.AsSingle(), y.AsSingle(), addend.AsSingle()).As<float, T>()
            : Vector512.MultiplyAddEstimate(x.AsDouble(), y.AsDouble(), addend.AsDouble()).As<double, T>();

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

    /// <summary>All bits where a lane is finite: there, and only there, <c>x − x</c> is 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<T> IsFinite<T>(Vector512<T> x) => Vector512.Equals(x - x, Vector512<T>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreFinite<T>(Vector512<T> x) => Vector512.EqualsAll(x - x, Vector512<T>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite<T>(T x) where T : unmanaged => double.IsFinite(Wide.ToDouble(x));

    /// <summary>Stores past the caches where <paramref name="streaming"/>, which needs an aligned target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(Vector512<T> value, T* target, bool streaming) where T : unmanaged
    {
        if (streaming)
            value.StoreAlignedNonTemporal(target);
        else
            value.Store(target);
    }

    /// <summary>
    /// The number of elements before the first one at an aligned address, at most <paramref name="length"/>.
    /// </summary>
    public static nint UnalignedHead<T>(T* target, nint length) where T : unmanaged =>
        nint.Min(length, (nint)((64 - ((nuint)target & 63)) & 63) / sizeof(T));
}
