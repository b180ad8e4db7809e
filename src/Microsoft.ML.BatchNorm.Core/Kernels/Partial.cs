using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>The first 1 to 16 floats of a vector in memory; nothing behind them is read or written.</summary>
static unsafe class Partial
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source, int count) =>
        count == Vector512<float>.Count ? Vector512.Load(source)
        : Avx512F.IsSupported ? Avx512F.MaskLoad(source, Mask(count), Vector512<float>.Zero)
        : Gather(source, count);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* target, int count)
    {
        if (count == Vector512<float>.Count)
            value.Store(target);
        else if (Avx512F.IsSupported)
            Avx512F.MaskStore(target, Mask(count), value);
        else
            StoreParts(value, target, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Mask(int count) =>
        Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

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
