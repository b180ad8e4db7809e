using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Sixteen floats or doubles as two vectors of double: the step of every kernel that sums. Written over
/// <see cref="Vector512"/> alone, which the runtime splits where the processor's vectors are narrower, so that the
/// order of all additions, and with it every bit of a result, is the same on each that multiplies and adds in one.
/// </summary>
static unsafe class Wide
{
    public const int Count = 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<T>(T* source, out Vector512<double> lower, out Vector512<double> upper) where T : unmanaged
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
            upper = Vector512.Load((double*)source + 8);
        }
    }

    /// <summary>Eight floats or doubles; floats are widened by the load itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> LoadEight<T>(T* source) where T : unmanaged =>
        typeof(T) == typeof(float)
            ? Vector512.WidenLower(Vector256.Load((float*)source).ToVector512Unsafe())
            : Vector512.Load((double*)source);

    /// <summary>The first address of a vector's alignment: at most seven doubles on.</summary>
    public static double* Align(double* memory) => (double*)(((nuint)memory + 63) & ~(nuint)63);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> MultiplyAdd(Vector512<double> x, Vector512<double> y, Vector512<double> addend) =>
        Vector512.MultiplyAddEstimate(x, y, addend);

    /// <summary>Asks for the memory at an address, which need not exist, to be brought near.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(address);
    }

    /// <summary>The sum of the eight, always in the same order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Sum(Vector512<double> v) =>
        ((v.GetElement(0) + v.GetElement(4)) + (v.GetElement(2) + v.GetElement(6)))
        + ((v.GetElement(1) + v.GetElement(5)) + (v.GetElement(3) + v.GetElement(7)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double ToDouble<T>(T value) where T : unmanaged =>
        typeof(T) == typeof(float) ? (float)(object)value : (double)(object)value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T FromDouble<T>(double value) where T : unmanaged =>
        typeof(T) == typeof(float) ? (T)(object)(float)value : (T)(object)value;
}
