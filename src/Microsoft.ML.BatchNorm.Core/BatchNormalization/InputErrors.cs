using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>The error that a variance overflows a double.</summary>
static class VarianceOverflow
{
    const string Channel = "Channel";

    /// <summary>The second half of the message, after what it is the variance of.</summary>
    public const string Text =
        "overflows a double: values lie 1e150 or more apart. Scale them, or leave such values out";

    public static InvalidDataException Of(int channel) =>
        new($"The variance of channel {channel} {Text}.") { Data = { [Channel] = channel } };

    /// <summary>The channel, or null if it is a different error.</summary>
    public static int? ChannelOf(Exception error) => error.Data[Channel] as int?;

    /// <summary>Finds the first channel whose variance overflows, value by value.</summary>
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
                if (!Simd.IsFinite(x[i]) || !mask.IsEmpty && !mask[layout.PositionOf(i)])
                    continue;
                int channel = layout.ChannelOf(i);
                ScalarMoments.Set(one, 1, Simd.ToDouble(x[i]), 0, 0);
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
        int channel = Finite.IndexOf(statistics.M2);
        if (channel >= 0)
            throw Of(channel);
    }
}

/// <summary>
/// The error that a channel has a single value although the options have the sample variance. As in PyTorch, it is an
/// error whenever the batch's own statistics normalize.
/// </summary>
static class SingleValue
{
    /// <param name="statistics">The statistics of the batch.</param>
    /// <param name="moves">Whether the batch moves the moving statistics.</param>
    public static void ThrowIfAny(BatchStatistics statistics, bool moves)
    {
        int channel = statistics.Count.IndexOf(1);
        if (channel >= 0)
            throw Error($"Channel {channel}", moves);
    }

    public static InvalidDataException Error(string channel, bool moves) => new(
        moves
            ? $"{channel} has 1 value; the sample variance, divided by n − 1, needs two."
            : $"{channel} has 1 value, and is normalized with its own statistics, which make β of any value. Give at "
                + "least two rows, or let the layer keep moving statistics (TrackMovingStatistics).");
}

/// <summary>The error that an input is NaN or infinite, with its place.</summary>
static class NonFiniteInput
{
    /// <summary>Throws if a value that the mask keeps is not finite, and names its channel, row and value.</summary>
    public static void ThrowIfAny<T>(
        ChannelLayout layout, ReadOnlySpan<T> values, ReadOnlySpan<bool> mask, string name) where T : unmanaged
    {
        int index = First(layout, values, mask);
        if (index < 0)
            return;
        throw new InvalidDataException(string.Create(
            CultureInfo.InvariantCulture,
            $"The argument {name} is not finite: channel {layout.ChannelOf(index)}, row {layout.RowOf(index)} has "
            + $"{values[index]}."));
    }

    static int First<T>(ChannelLayout layout, ReadOnlySpan<T> values, ReadOnlySpan<bool> mask) where T : unmanaged
    {
        for (int start = 0; Finite.IndexOf(values[start..]) is >= 0 and int next; start += next + 1)
        {
            if (mask.IsEmpty || mask[layout.PositionOf(start + next)])
                return start + next;
        }
        return -1;
    }
}
