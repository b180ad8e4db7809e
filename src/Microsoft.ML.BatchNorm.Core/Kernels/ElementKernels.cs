using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary><c>y = (x − center)·scale + shift</c> per channel, with one read and one write of the data.</summary>
/// <param name="plan">How the array is cut.</param>
/// <param name="x">The input.</param>
/// <param name="y">The output; may be the input.</param>
/// <param name="parameters">Center, scale and shift, <paramref name="stride"/> apart.</param>
/// <param name="stride">The distance from one parameter to the next.</param>
/// <param name="ignoreNonFinite">Whether inputs that are not finite pass through unchanged.</param>
/// <param name="streaming">Whether the output is written past the caches.</param>
/// <param name="foundNonFinite">Set to 1 if an input is not finite.</param>
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
        nint i = 0, phase = 0, head = streaming ? Simd.UnalignedHead(y, length) : 0;
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
        nint i = 0, head = streaming ? Simd.UnalignedHead(y, length) : 0;
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
        Vector512<T> mapped = Simd.MultiplyAdd(value - center, scale, shift);
        poison = Simd.MultiplyAdd(value, Vector512<T>.Zero, poison);
        if (ignoreNonFinite)
            mapped = Vector512.ConditionalSelect(Simd.IsFinite(value), mapped, value);
        Simd.Store(mapped, y, streaming);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool One(T* x, T* y, T center, T scale, T shift, bool ignoreNonFinite)
    {
        T value = *x;
        bool finite = Simd.IsFinite(value);
        *y = finite || !ignoreNonFinite ? Simd.MultiplyAdd(Simd.Subtract(value, center), scale, shift) : value;
        return finite;
    }
}

/// <summary>
/// How an array is cut into items if each element is mapped by itself: flat, with parameters that repeat from row to
/// row, or by runs of one channel each.
/// </summary>
/// <param name="layout">The array's layout.</param>
/// <param name="period">The period of the parameters in a flat array.</param>
readonly struct ElementPlan(ChannelLayout layout, int period)
{
    readonly int count = layout.Count, inner = layout.Inner, channels = layout.Channels;

    public bool IsFlat { get; } = layout.IsColumns;

    public int Inner => inner;

    public int Period => period;

    /// <summary>Whole periods or whole runs, so that each item starts with the first parameter.</summary>
    int ItemLength
    {
        get
        {
            int unit = IsFlat ? period : inner;
            return Math.Max(1, ShardJob.ItemElements / unit) * unit;
        }
    }

    public int Items => (int)(((long)count + ItemLength - 1) / ItemLength);

    public nint Start(int item) => (nint)item * ItemLength;

    public nint Length(int item) => nint.Min(ItemLength, count - Start(item));

    public int ChannelAt(nint start) => (int)(start / inner % channels);

    public int NextChannel(int channel) => channel + 1 == channels ? 0 : channel + 1;
}

/// <summary><c>dx = scale·(dy − (slope·(x − center) + shift))</c> per channel.</summary>
/// <param name="plan">How the array is cut.</param>
/// <param name="x">The input of the forward pass.</param>
/// <param name="dy">The gradient of its output.</param>
/// <param name="dx">The gradient of its input; may be the memory of x or dy.</param>
/// <param name="parameters">Center, slope, shift and scale, <paramref name="stride"/> apart.</param>
/// <param name="stride">The distance from one parameter to the next.</param>
readonly unsafe struct GradientKernel<T>(
    ElementPlan plan, T* x, T* dy, T* dx, T* parameters, int stride)
    : IShardJob
    where T : unmanaged
{
    public void Run(int item)
    {
        nint start = plan.Start(item), length = plan.Length(item);
        if (plan.IsFlat)
        {
            Flat(start, length);
            return;
        }
        int channel = plan.ChannelAt(start);
        for (nint run = start; run < start + length; run += plan.Inner, channel = plan.NextChannel(channel))
            OneRun(run, plan.Inner, parameters + channel);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Flat(nint start, nint length)
    {
        T* center = parameters, slope = center + stride, shift = slope + stride, scale = shift + stride;
        nint period = plan.Period, phase = 0, i = start, end = start + length;
        for (; i <= end - Vector512<T>.Count; i += Vector512<T>.Count)
        {
            Vector512<T> fall = Simd.MultiplyAdd(
                Vector512.Load(x + i) - Vector512.Load(center + phase),
                Vector512.Load(slope + phase), Vector512.Load(shift + phase));
            (Vector512.Load(scale + phase) * (Vector512.Load(dy + i) - fall)).Store(dx + i);
            phase += Vector512<T>.Count;
            if (phase >= period)
                phase -= period;
        }
        for (; i < end; i++)
        {
            One(i, center[phase], slope[phase], shift[phase], scale[phase]);
            phase = phase + 1 == period ? 0 : phase + 1;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void OneRun(nint start, nint length, T* parameter)
    {
        T center = *parameter, slope = parameter[stride], shift = parameter[2 * stride], scale = parameter[3 * stride];
        Vector512<T> centers = Vector512.Create(center), slopes = Vector512.Create(slope);
        Vector512<T> shifts = Vector512.Create(shift), scales = Vector512.Create(scale);
        nint i = start, end = start + length;
        for (; i <= end - Vector512<T>.Count; i += Vector512<T>.Count)
        {
            Vector512<T> fall = Simd.MultiplyAdd(Vector512.Load(x + i) - centers, slopes, shifts);
            (scales * (Vector512.Load(dy + i) - fall)).Store(dx + i);
        }
        for (; i < end; i++)
            One(i, center, slope, shift, scale);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void One(nint i, T center, T slope, T shift, T scale)
    {
        T fall = Simd.MultiplyAdd(Simd.Subtract(x[i], center), slope, shift);
        dx[i] = Simd.MultiplyAdd(Simd.Subtract(dy[i], fall), scale, default);
    }
}
