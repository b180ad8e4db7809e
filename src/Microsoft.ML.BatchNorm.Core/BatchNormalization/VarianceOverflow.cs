using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>A variance that no double holds.</summary>
static class VarianceOverflow
{
    const string Channel = "Channel";

    /// <summary>What is wrong, and what to do about it, behind the name of what it is the variance of.</summary>
    public const string Text =
        "overflows a double: values lie 1e150 or more apart. Scale them, or leave such values out";

    public static InvalidDataException Of(int channel) =>
        new($"The variance of channel {channel} {Text}.") { Data = { [Channel] = channel } };

    /// <summary>The channel, or null where an error is another.</summary>
    public static int? ChannelOf(Exception error) => error.Data[Channel] as int?;

    /// <summary>The first channel of finite values whose variance overflows, value by value.</summary>
    public static unsafe InvalidDataException In<T>(ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask)
        where T : unmanaged
    {
        double* memory = stackalloc double[Moments.Arrays];
        Moments one = Moments.In(memory, 1);
        double[] total = new double[Moments.Arrays * layout.Channels];
        fixed (double* totals = total)
        {
            Moments channels = Moments.In(totals, layout.Channels);
            for (int i = 0; i < x.Length; i++)
            {
                if (!Lanes.IsFinite(x[i]) || !mask.IsEmpty && !mask[layout.PositionOf(i)])
                    continue;
                int channel = layout.ChannelOf(i);
                ScalarMoments.Set(one, 1, Wide.ToDouble(x[i]), 0, 0);
                MomentsMerge.Into(channels.At(channel), one, 1);
                if (!double.IsFinite(channels.M2[channel]))
                    return Of(channel);
            }
        }
        return Of(0);
    }

    /// <exception cref="InvalidDataException">The variance of a channel overflowed.</exception>
    public static void ThrowIfAny(BatchStatistics statistics)
    {
        for (int c = 0; c < statistics.Channels; c++)
        {
            if (!double.IsFinite(statistics.M2[c]))
                throw Of(c);
        }
    }
}
