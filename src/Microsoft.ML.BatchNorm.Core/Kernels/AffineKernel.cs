using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary><c>y = (x − center)·scale + shift</c>, by channel: one read and one write of the data.</summary>
/// <param name="plan">How the array is cut.</param>
/// <param name="x">The input.</param>
/// <param name="y">The output; may be the input.</param>
/// <param name="parameters">Center, scale and shift, <paramref name="stride"/> apart.</param>
/// <param name="stride">The distance from one parameter to the next.</param>
/// <param name="ignoreNonFinite">Whether inputs that are not finite pass through unchanged.</param>
/// <param name="streaming">Whether the output is written past the caches.</param>
/// <param name="foundNonFinite">Set to 1 where an input was not finite.</param>
readonly unsafe struct AffineKernel<T>(
    ElementPlan plan, T* x, T* y, T* parameters, int stride, bool ignoreNonFinite, bool streaming,
    int* foundNonFinite)
    : IShardJob
    where T : unmanaged
{
    public void Run(int item)
    {
        nint start = plan.Start(item), length = plan.Length(item);
        bool finite = true;
        if (plan.IsFlat)
        {
            finite = Flat(x + start, y + start, length, parameters, stride, plan.Period, ignoreNonFinite, streaming);
        }
        else
        {
            int channel = plan.ChannelAt(start);
            for (nint run = start; run < start + length; run += plan.Inner, channel = plan.NextChannel(channel))
                finite &= OneRun(
                    x + run, y + run, plan.Inner, parameters + channel, stride, ignoreNonFinite, streaming);
        }
        if (!finite)
            *foundNonFinite = 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool Flat(
        T* x, T* y, nint length, T* center, nint stride, nint period, bool ignoreNonFinite, bool streaming)
    {
        T* scale = center + stride, shift = scale + stride;
        Vector512<T> poison = Vector512<T>.Zero;
        bool finite = true;
        nint i = 0, phase = 0, head = streaming ? Lanes.UnalignedHead(y, length) : 0;
        for (; i < head; i++)
        {
            finite &= One(x + i, y + i, center[phase], scale[phase], shift[phase], ignoreNonFinite);
            phase = phase + 1 == period ? 0 : phase + 1;
        }
        if (period % Vector512<T>.Count == 0)
        {
            // Four periods at a time share the loads of their parameters.
            for (; i <= length - 4 * period; i += 3 * period)
            {
                for (nint end = i + period; i < end; i += Vector512<T>.Count)
                {
                    Vector512<T> c = Vector512.Load(center + phase), s = Vector512.Load(scale + phase);
                    Vector512<T> t = Vector512.Load(shift + phase);
                    Map(x + i, y + i, c, s, t, ignoreNonFinite, streaming, ref poison);
                    Map(x + i + period, y + i + period, c, s, t, ignoreNonFinite, streaming, ref poison);
                    Map(x + i + 2 * period, y + i + 2 * period, c, s, t, ignoreNonFinite, streaming, ref poison);
                    Map(x + i + 3 * period, y + i + 3 * period, c, s, t, ignoreNonFinite, streaming, ref poison);
                    phase += Vector512<T>.Count;
                    if (phase >= period)
                        phase -= period;
                }
            }
        }
        for (; i <= length - Vector512<T>.Count; i += Vector512<T>.Count)
        {
            Map(
                x + i, y + i, Vector512.Load(center + phase), Vector512.Load(scale + phase),
                Vector512.Load(shift + phase),
                ignoreNonFinite, streaming, ref poison);
            phase += Vector512<T>.Count;
            if (phase >= period)
                phase -= period;
        }
        for (; i < length; i++)
        {
            finite &= One(x + i, y + i, center[phase], scale[phase], shift[phase], ignoreNonFinite);
            phase = phase + 1 == period ? 0 : phase + 1;
        }
        return finite & Vector512.EqualsAll(poison, poison);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool OneRun(T* x, T* y, nint length, T* parameters, nint stride, bool ignoreNonFinite, bool streaming)
    {
        T center = *parameters, scale = parameters[stride], shift = parameters[2 * stride];
        Vector512<T> centers = Vector512.Create(center), scales = Vector512.Create(scale);
        Vector512<T> shifts = Vector512.Create(shift), poison = Vector512<T>.Zero;
        bool finite = true;
        nint i = 0, head = streaming ? Lanes.UnalignedHead(y, length) : 0;
        for (; i < head; i++)
            finite &= One(x + i, y + i, center, scale, shift, ignoreNonFinite);
        for (; i <= length - Vector512<T>.Count; i += Vector512<T>.Count)
            Map(x + i, y + i, centers, scales, shifts, ignoreNonFinite, streaming, ref poison);
        for (; i < length; i++)
            finite &= One(x + i, y + i, center, scale, shift, ignoreNonFinite);
        return finite & Vector512.EqualsAll(poison, poison);
    }

    /// <summary>One vector; <paramref name="poison"/> stays 0 until an input is not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Map(
        T* x, T* y, Vector512<T> center, Vector512<T> scale, Vector512<T> shift, bool ignoreNonFinite, bool streaming,
        ref Vector512<T> poison)
    {
        Vector512<T> value = Vector512.Load(x);
        Vector512<T> mapped = Lanes.MultiplyAdd(value - center, scale, shift);
        poison = Lanes.MultiplyAdd(value, Vector512<T>.Zero, poison);
        if (ignoreNonFinite)
            mapped = Vector512.ConditionalSelect(Lanes.IsFinite(value), mapped, value);
        Lanes.Store(mapped, y, streaming);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool One(T* x, T* y, T center, T scale, T shift, bool ignoreNonFinite)
    {
        T value = *x;
        bool finite = Lanes.IsFinite(value);
        *y = finite || !ignoreNonFinite ? Lanes.MultiplyAdd(Lanes.Subtract(value, center), scale, shift) : value;
        return finite;
    }
}
