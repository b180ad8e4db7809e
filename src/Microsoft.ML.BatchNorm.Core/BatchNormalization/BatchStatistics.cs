using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The exact statistics of all values seen, per channel: count, mean and M2, the sum of squared deviations from the
/// mean. You can add blocks and merge other statistics in any order, with the same result up to rounding; so shards,
/// threads and machines agree.
/// </summary>
/// <remarks>
/// Sums are always formed around the mean and in double, never as Σx² (Chan, Golub, LeVeque, "Algorithms for
/// Computing the Sample Variance", 1983). An instance is for one thread at a time: give each thread its own, and merge.
/// </remarks>
public sealed class BatchStatistics
{
    /// <summary>Counts, means, M2, and the rests of the latter two, one array after the other.</summary>
    readonly double[] moments;

    /// <summary>Statistics of no values.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is not at least one channel.</exception>
    public BatchStatistics(int channels)
    {
        Channels = Check.Positive(channels, nameof(channels));
        moments = new double[Moments.Arrays * channels];
    }

    /// <summary>Statistics from elsewhere, such as another process or framework.</summary>
    /// <param name="count">The number of values per channel; at least one channel.</param>
    /// <param name="mean">The mean per channel; ignored if it has no values.</param>
    /// <param name="m2">The sum of squared deviations from the mean per channel.</param>
    /// <param name="meanRest">
    /// <see cref="MeanRest"/> per channel, or empty if it is not known. Merged statistics are then only as exact as the
    /// means, which matters for M2 if the deviation is much smaller than the mean.
    /// </param>
    /// <param name="m2Rest"><see cref="M2Rest"/> per channel, or empty if it is not known.</param>
    /// <exception cref="ArgumentException">
    /// Lengths differ, or a value is out of range; the message names it.
    /// </exception>
    public BatchStatistics(
        ReadOnlySpan<double> count, ReadOnlySpan<double> mean, ReadOnlySpan<double> m2,
        ReadOnlySpan<double> meanRest = default, ReadOnlySpan<double> m2Rest = default)
        : this(count.Length)
    {
        StateCheck.Count(count, nameof(count));
        StateCheck.Finite(mean, Channels, nameof(mean));
        StateCheck.NotNegative(m2, Channels, nameof(m2));
        if (!meanRest.IsEmpty)
            StateCheck.Rest(meanRest, mean, nameof(meanRest));
        if (!m2Rest.IsEmpty)
            StateCheck.Rest(m2Rest, m2, nameof(m2Rest));
        count.CopyTo(moments);
        mean.CopyTo(moments.AsSpan(Channels));
        m2.CopyTo(moments.AsSpan(2 * Channels));
        meanRest.CopyTo(moments.AsSpan(3 * Channels));
        m2Rest.CopyTo(moments.AsSpan(4 * Channels));
        for (int c = 0; c < Channels; c++)
        {
            if (count[c] != 0)
                continue;
            for (int array = 1; array < Moments.Arrays; array++)
                moments[array * Channels + c] = 0;
        }
    }

    /// <summary>Statistics whose values are not checked.</summary>
    /// <param name="moments">Counts, means, M2, and the rests of the latter two, one array after the other.</param>
    internal BatchStatistics(double[] moments)
    {
        this.moments = moments;
        Channels = moments.Length / Moments.Arrays;
    }

    /// <summary>The number of channels.</summary>
    public int Channels { get; }

    /// <summary>Counts, means, M2, and the rests of the latter two, one array after the other.</summary>
    internal ReadOnlySpan<double> Packed => moments;

    /// <summary>The number of values per channel: whole numbers.</summary>
    public ReadOnlySpan<double> Count => moments.AsSpan(0, Channels);

    /// <summary>The mean per channel, in the input's unit; 0 if it has no values.</summary>
    public ReadOnlySpan<double> Mean => moments.AsSpan(Channels, Channels);

    /// <summary>The sum of squared deviations from the mean, per channel.</summary>
    public ReadOnlySpan<double> M2 => moments.AsSpan(2 * Channels, Channels);

    /// <summary>
    /// What is known of each mean beyond the double in <see cref="Mean"/>: less than its last digit. If you send
    /// statistics elsewhere, send it too, so that they can be merged exactly there.
    /// </summary>
    public ReadOnlySpan<double> MeanRest => moments.AsSpan(3 * Channels, Channels);

    /// <summary>What is known of each M2 beyond the double in <see cref="M2"/>.</summary>
    public ReadOnlySpan<double> M2Rest => moments.AsSpan(4 * Channels, Channels);

    /// <summary>Whether no channel has a value.</summary>
    public bool IsEmpty => !Count.ContainsAnyExcept(0);

    /// <summary>
    /// Merges statistics of all ranks into these, in the order of the ranks, so that the result has the same bits on
    /// every rank. One message.
    /// </summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="mine">This rank's statistics.</param>
    /// <param name="note">A number of this rank for the others.</param>
    /// <returns>The numbers of all ranks.</returns>
    internal double[] MergeOfAll(ICollective ranks, BatchStatistics mine, double note) =>
        MergeOfAll(ranks, [this], [mine], note);

    /// <summary>Does the same for several groups at once, in one message.</summary>
    internal static double[] MergeOfAll(
        ICollective ranks, ReadOnlySpan<BatchStatistics> all, ReadOnlySpan<BatchStatistics> mine, double note)
    {
        int length = mine[0].moments.Length, given = mine.Length * length + 1;
        double[] own = new double[given], gathered = new double[ranks.Size * given], notes = new double[ranks.Size];
        for (int group = 0; group < mine.Length; group++)
            mine[group].moments.CopyTo(own, group * length);
        own[^1] = note;
        ranks.Gather(MemoryMarshal.AsBytes<double>(own), MemoryMarshal.AsBytes(gathered.AsSpan()));
        for (int rank = 0; rank < notes.Length; rank++)
        {
            ReadOnlySpan<double> packed = gathered.AsSpan(rank * given, given);
            for (int group = 0; group < mine.Length; group++)
                all[group].Merge(new BatchStatistics(packed.Slice(group * length, length).ToArray()));
            notes[rank] = packed[^1];
        }
        return notes;
    }

    /// <summary>The variance of a channel; 0 for the population variance of no values.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The channel does not exist.</exception>
    /// <exception cref="InvalidDataException">
    /// The sample variance is asked for and the channel has fewer than two values, or the variance overflowed.
    /// </exception>
    public double Variance(int channel, VarianceConvention convention = VarianceConvention.Population)
    {
        if ((uint)channel >= (uint)Channels)
            throw Check.OutOfRange(channel, nameof(channel), $"from 0 to {Channels - 1}");
        double count = Count[channel], variance;
        if (convention == VarianceConvention.Population)
            variance = M2[channel] / Math.Max(count, 1);
        else if (count < 2)
            throw new InvalidDataException(
                $"Channel {channel} has {(count == 0 ? "no" : "one")} value; "
                + "the sample variance, divided by n − 1, needs two.");
        else
            variance = M2[channel] / (count - 1);
        return double.IsFinite(variance)
            ? variance
            : throw VarianceOverflow.Of(channel);
    }

    /// <summary>Adds a block of values.</summary>
    /// <param name="layout">Where the channels lie in <paramref name="x"/>.</param>
    /// <param name="x">One value per element of the layout.</param>
    /// <param name="mask">One entry per position: false leaves it out. Empty counts all.</param>
    /// <param name="nonFinite">What happens to NaN and infinities.</param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <exception cref="ArgumentException">
    /// A length or the number of channels does not fit; nothing was added.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A kept value is not finite, or the variance of a channel overflows a double; nothing was added.
    /// </exception>
    public void Add(
        ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default,
        NonFinite nonFinite = NonFinite.Throw, int threads = 1) =>
        Merge(Of(layout, x, mask, nonFinite, threads));

    /// <inheritdoc cref="Add(ChannelLayout, ReadOnlySpan{float}, ReadOnlySpan{bool}, NonFinite, int)"/>
    public void Add(
        ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default,
        NonFinite nonFinite = NonFinite.Throw, int threads = 1) =>
        Merge(Of(layout, x, mask, nonFinite, threads));

    /// <summary>Adds all that <paramref name="other"/> has seen.</summary>
    /// <exception cref="ArgumentException">The number of channels differs.</exception>
    public unsafe void Merge(BatchStatistics other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (other.Channels != Channels)
            throw new ArgumentException(
                $"The argument other has {other.Channels} channels, not {Channels}.", nameof(other));
        fixed (double* from = other.moments)
            Merge(Moments.In(from, Channels));
    }

    internal unsafe void Merge(Moments other)
    {
        fixed (double* target = moments)
            MomentsMerge.Into(Moments.In(target, Channels), other, Channels);
    }

    internal static unsafe BatchStatistics Of<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask, NonFinite nonFinite, int threads,
        bool mayOverflow = false)
        where T : unmanaged
    {
        layout.CheckMade(nameof(layout));
        layout.CheckLength(x.Length, nameof(x));
        layout.CheckMask(mask.Length, nameof(mask));
        Check.Positive(threads, nameof(threads));
        var statistics = new BatchStatistics(layout.Channels);
        bool ignore = nonFinite == NonFinite.Ignore;
        bool finite;
        fixed (T* data = x)
        fixed (double* memory = statistics.moments)
        {
            Moments target = Moments.In(memory, layout.Channels);
            finite = mask.IsEmpty
                ? ArrayMoments.Add(layout, data, threads, ignore, target)
                : MaskedMoments.Add(layout, data, mask, threads, ignore, target);
        }
        if (finite)
        {
            if (!mayOverflow)
                VarianceOverflow.ThrowIfAny(statistics);
            return statistics;
        }
        NonFiniteInput.ThrowIfAny(layout, x, mask, nameof(x));
        throw VarianceOverflow.In(layout, x, mask);
    }
}
