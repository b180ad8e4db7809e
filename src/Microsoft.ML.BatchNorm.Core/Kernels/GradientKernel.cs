using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary><c>dx = scale·(dy − (slope·(x − center) + shift))</c>, by channel.</summary>
/// <param name="plan">How the array is cut.</param>
/// <param name="x">The input of the forward pass.</param>
/// <param name="dy">The gradient of its output.</param>
/// <param name="dx">The gradient of its input; may be either of the two.</param>
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
            Vector512<T> fall = Lanes.MultiplyAdd(
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
            Vector512<T> fall = Lanes.MultiplyAdd(Vector512.Load(x + i) - centers, slopes, shifts);
            (scales * (Vector512.Load(dy + i) - fall)).Store(dx + i);
        }
        for (; i < end; i++)
            One(i, center, slope, shift, scale);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void One(nint i, T center, T slope, T shift, T scale)
    {
        T fall = Lanes.MultiplyAdd(Lanes.Subtract(x[i], center), slope, shift);
        dx[i] = Lanes.MultiplyAdd(Lanes.Subtract(dy[i], fall), scale, default);
    }
}
