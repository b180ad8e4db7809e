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
        : Avx.IsSupported ? LoadHalves(source, Mask(count))
        : Gather(source, count);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* target, int count)
    {
        if (count == Vector512<float>.Count)
            value.Store(target);
        else if (Avx512F.IsSupported)
            Avx512F.MaskStore(target, Mask(count), value);
        else if (Avx.IsSupported)
            StoreHalves(value, target, Mask(count));
        else
            Scatter(value, target, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Mask(int count) =>
        Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> LoadHalves(float* source, Vector512<float> mask) =>
        Vector512.Create(Avx.MaskLoad(source, mask.GetLower()), Avx.MaskLoad(source + 8, mask.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void StoreHalves(Vector512<float> value, float* target, Vector512<float> mask)
    {
        Avx.MaskStore(target, mask.GetLower(), value.GetLower());
        Avx.MaskStore(target + 8, mask.GetUpper(), value.GetUpper());
    }

    static Vector512<float> Gather(float* source, int count)
    {
        Vector512<float> values = default;
        for (int i = 0; i < count; i++)
            ((float*)&values)[i] = source[i];
        return values;
    }

    static void Scatter(Vector512<float> value, float* target, int count)
    {
        for (int i = 0; i < count; i++)
            target[i] = ((float*)&value)[i];
    }
}
