using System.Diagnostics.Contracts;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How many values of each channel lie in each bin of a grid that was fixed before they were counted. Counts of the
/// same grid merge exactly: they do not depend on batches, order, threads or shards.
/// </summary>
/// <remarks>
/// <para>
/// A grid follows from exact statistics: a bin belongs to z = (x − mean)/deviation. On each side of the mean there
/// are 16 bins of width 1/32 up to |z| = ½, then 8 per octave (widths 1/16, 1/8, ¼ and ½) up to |z| = 8, and one bin
/// for everything beyond. So the grid fits any scale and any offset, is fine where most values are, and needs
/// <see cref="Bins"/> numbers per channel. Values that are exactly 0 have a bin of their own, and so have those that
/// are missing: NaN and infinities. Floating-point bins, fixed for all data, would need no statistics, but they see a
/// mean of 1e6 with a deviation of 1e-2 as one bin.
/// </para>
/// <para>
/// It cannot see what happens within one bin. If a few extreme values make up the deviation, all others lie in few
/// bins. A channel that was constant has three bins: less, the constant, and more.
/// </para>
/// <para>An instance is for one thread at a time: give each thread its own, and merge.</para>
/// </remarks>
public sealed class ChannelHistograms
{
    /// <summary>The number of bins per channel.</summary>
    public const int Bins = Zero + 2;

    /// <summary>The most channels, whose counts are as many as an array can hold.</summary>
    internal static int MostChannels => Array.MaxLength / Bins;

    /// <summary>The bins on one side of the mean, the last of which is open.</summary>
    internal const int Side = 2 * BinsPerOctave + Octaves * BinsPerOctave + 1;

    /// <summary>The bin of zeros, and that of missing values.</summary>
    internal const int Zero = 2 * Side, Missing = Zero + 1;

    /// <summary>Bins of the least width per deviation.</summary>
    const double Finest = 32;

    const int Octaves = 4, BinsPerOctave = 8, MantissaBits = 3;

    /// <summary>From here on, in units of the finest bins, a bin is open.</summary>
    const double Farthest = 2 * BinsPerOctave * (1 << Octaves);

    /// <summary>The exponent and the first bits of the mantissa of the end of the finest bins.</summary>
    const int FirstOctave = (1023 + MantissaBits + 1) << MantissaBits;

    readonly double[] mean, deviation, inverse, counts;

    /// <summary>Empty histograms on the grid of exact statistics.</summary>
    /// <param name="statistics">The statistics: the grid takes their means and population deviations.</param>
    /// <exception cref="ArgumentException">There are over 21 million channels.</exception>
    /// <exception cref="InvalidDataException">A variance overflowed.</exception>
    public ChannelHistograms(BatchStatistics statistics)
        : this(Check.NotNull(statistics).Mean.ToArray(), Deviations(statistics), inverse: null, counts: null)
    {
    }

    /// <summary>Histograms from elsewhere, such as another process.</summary>
    /// <param name="mean">The mean of the grid per channel; at least one channel.</param>
    /// <param name="deviation">The deviation of the grid per channel.</param>
    /// <param name="counts">The count of each bin, one channel after the other; or empty for none.</param>
    /// <exception cref="ArgumentException">
    /// Lengths differ, or a value is out of range; the message names it.
    /// </exception>
    public ChannelHistograms(
        ReadOnlySpan<double> mean, ReadOnlySpan<double> deviation, ReadOnlySpan<double> counts = default)
        : this(mean.ToArray(), deviation.ToArray(), inverse: null, counts.IsEmpty ? null : counts.ToArray())
    {
        Check.Positive(mean.Length, nameof(mean));
        if (FaultOf(this, nameof(mean), nameof(deviation), nameof(counts)) is { } fault)
            throw new ArgumentException(fault);
    }

    ChannelHistograms(double[] mean, double[] deviation, double[]? inverse, double[]? counts)
    {
        if (mean.Length > MostChannels)
            throw new ArgumentException($"There are {mean.Length} channels, and histograms of {MostChannels} at most.");
        (this.mean, this.deviation) = (mean, deviation);
        // A file may have −0.
        this.inverse = inverse
            ?? Array.ConvertAll(deviation, width => Math.Min(Finest / Math.Abs(width), double.MaxValue));
        this.counts = counts ?? new double[mean.Length * Bins];
    }

    /// <summary>Histograms whose values are not checked.</summary>
    internal static ChannelHistograms Of(double[] mean, double[] deviation, double[] counts) =>
        new(mean, deviation, inverse: null, counts);

    /// <summary>The number of channels.</summary>
    public int Channels => mean.Length;

    /// <summary>The mean of the grid per channel, in the input's unit.</summary>
    public ReadOnlySpan<double> Mean => mean;

    /// <summary>The deviation of the grid per channel, in the input's unit; 0 if a channel was constant.</summary>
    public ReadOnlySpan<double> Deviation => deviation;

    /// <summary>
    /// The count of each bin, whole numbers, one channel after the other. A channel has <see cref="Bins"/>: those of
    /// the grid from the lowest to the highest (<see cref="LowerEdge"/>), then the zeros, then the missing values.
    /// </summary>
    public ReadOnlySpan<double> Counts => counts;

    /// <summary>The counts of one channel.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The channel does not exist.</exception>
    public ReadOnlySpan<double> CountsOf(int channel) =>
        (uint)channel < (uint)Channels
            ? counts.AsSpan(channel * Bins, Bins)
            : throw Check.OutOfRange(channel, nameof(channel), $"from 0 to {Channels - 1}");

    /// <summary>
    /// The least z = (x − mean)/deviation that belongs to a bin of the grid; −∞ for the first one. The bin ends where
    /// the next one begins; the last one does not end.
    /// </summary>
    /// <param name="bin">The bin, from 0 to <see cref="Bins"/> − 3.</param>
    /// <exception cref="ArgumentOutOfRangeException">The grid does not have the bin.</exception>
    public static double LowerEdge(int bin)
    {
        if ((uint)bin >= Zero)
            throw Check.OutOfRange(bin, nameof(bin), $"from 0 to {Zero - 1}");
        return bin == 0 ? double.NegativeInfinity : bin < Side ? -Distance(Side - bin) : Distance(bin - Side);
    }

    /// <summary>Counts a block of values.</summary>
    /// <param name="layout">Where the channels lie in <paramref name="x"/>.</param>
    /// <param name="x">One value per element of the layout.</param>
    /// <param name="mask">One entry per position: false leaves it out. Empty counts all.</param>
    /// <exception cref="ArgumentException">
    /// A length or the number of channels does not fit; nothing was counted.
    /// </exception>
    public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
        Count(layout, x, mask);

    /// <inheritdoc cref="Add(ChannelLayout, ReadOnlySpan{float}, ReadOnlySpan{bool})"/>
    public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
        Count(layout, x, mask);

    /// <summary>Adds the counts of other histograms of the same grid.</summary>
    /// <exception cref="ArgumentException">The grid is another one.</exception>
    public void Merge(ChannelHistograms other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (!HasGridOf(other))
            throw new ArgumentException(
                "The argument other has another grid: counts can be merged only if they were made with the state of "
                + "one fit.", nameof(other));
        for (int i = 0; i < counts.Length; i++)
            counts[i] += other.counts[i];
    }

    /// <summary>Empty histograms of the same grid.</summary>
    [Pure]
    public ChannelHistograms NewEmpty() => new(mean, deviation, inverse, counts: null);

    internal ChannelHistograms Copy() => new(mean, deviation, inverse, [.. counts]);

    /// <summary>Replaces the counts by their sums over all ranks, which are exact.</summary>
    internal void SumOver(ICollective ranks) => ranks.Sum(counts.AsSpan());

    internal bool HasGridOf(ChannelHistograms other) =>
        SameBits(mean, other.mean) && SameBits(deviation, other.deviation);

    internal bool HasBitsOf(ChannelHistograms other) => HasGridOf(other) && SameBits(counts, other.counts);

    /// <summary>How many values of a channel are not missing.</summary>
    internal double FiniteCount(int channel)
    {
        double sum = 0;
        foreach (double count in CountsOf(channel)[..Missing])
            sum += count;
        return sum;
    }

    /// <summary>What is wrong with the values, in words, or null.</summary>
    internal static string? FaultOf(ChannelHistograms histograms, string mean, string deviation, string counts)
    {
        int channels = histograms.Channels;
        return StateCheck.FiniteFault<double>(histograms.mean, channels, mean)
            ?? StateCheck.NotNegativeFault(histograms.deviation, channels, deviation)
            ?? (histograms.counts.Length == channels * (long)Bins
                ? null
                : $"The array {counts} has {histograms.counts.Length} values for {channels} channels of {Bins} bins.")
            ?? StateCheck.CountFault(histograms.counts, counts, Bins);
    }

    /// <summary>The bin of the grid that a finite number lies in.</summary>
    internal int BinOf(int channel, double x) => BinOf(x - mean[channel], inverse[channel]);

    /// <summary>Where a bin begins, in deviations from the mean.</summary>
    static double Distance(int bin)
    {
        if (bin < 2 * BinsPerOctave)
            return bin / Finest;
        (int octave, int step) = Math.DivRem(bin - 2 * BinsPerOctave, BinsPerOctave);
        return (BinsPerOctave + step) * (2 << octave) / Finest;
    }

    static int BinOf(double difference, double inverse)
    {
        double distance = Math.Min(Math.Abs(difference) * inverse, Farthest);
        int octave = (int)(BitConverter.DoubleToInt64Bits(distance) >> (52 - MantissaBits)) - FirstOctave;
        int bin = octave >= 0 ? 2 * BinsPerOctave + octave : (int)distance;
        return difference < 0 ? Side - 1 - bin : Side + bin;
    }

    internal void Count<T>(ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        layout.CheckMade(nameof(layout));
        layout.CheckChannels(Channels, nameof(layout));
        layout.CheckLength(x.Length, nameof(x));
        layout.CheckMask(mask.Length, nameof(mask));
        if (layout.Inner == 1)
        {
            for (int row = 0; row < layout.Outer; row++)
            {
                if (mask.IsEmpty || mask[row])
                    CountRow(x.Slice(row * Channels, Channels));
            }
            return;
        }
        for (int run = 0; run < layout.Outer * Channels; run++)
        {
            ReadOnlySpan<T> values = x.Slice(run * layout.Inner, layout.Inner);
            if (mask.IsEmpty)
                CountRun(run % Channels, values);
            else
                CountRun(run % Channels, values, mask.Slice(run / Channels * layout.Inner, layout.Inner));
        }
    }

    /// <summary>Counts a value of each channel.</summary>
    unsafe void CountRow<T>(ReadOnlySpan<T> x)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        int c = 0;
        long* places = stackalloc long[Vector512<long>.Count];
        fixed (T* values = x)
        fixed (double* means = mean, inverses = inverse, target = counts)
        {
            Vector512<long> first = Vector512.CreateSequence(0L, Bins);
            for (; c <= x.Length - Vector512<double>.Count; c += Vector512<double>.Count)
            {
                Increment(target + c * Bins, first + BinsOf(
                    Simd.LoadEight(values + c), Vector512.Load(means + c), Vector512.Load(inverses + c)), places);
            }
        }
        for (; c < x.Length; c++)
            counts[c * Bins + BinOf(double.CreateTruncating(x[c]), mean[c], inverse[c])]++;
    }

    /// <summary>Counts values of one channel.</summary>
    unsafe void CountRun<T>(int channel, ReadOnlySpan<T> x)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        int i = 0;
        long* places = stackalloc long[Vector512<long>.Count];
        Vector512<double> center = Vector512.Create(mean[channel]), scale = Vector512.Create(inverse[channel]);
        fixed (T* values = x)
        fixed (double* target = counts)
        {
            for (; i <= x.Length - Vector512<double>.Count; i += Vector512<double>.Count)
                Increment(target + channel * Bins, BinsOf(Simd.LoadEight(values + i), center, scale), places);
        }
        CountRun(channel, x[i..], mask: default);
    }

    void CountRun<T>(int channel, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        Span<double> target = counts.AsSpan(channel * Bins, Bins);
        for (int i = 0; i < x.Length; i++)
        {
            if (mask.IsEmpty || mask[i])
                target[BinOf(double.CreateTruncating(x[i]), mean[channel], inverse[channel])]++;
        }
    }

    static int BinOf(double value, double center, double scale) =>
        !double.IsFinite(value) ? Missing : value == 0 ? Zero : BinOf(value - center, scale);

    /// <summary>The same bins, of eight values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<long> BinsOf(Vector512<double> value, Vector512<double> center, Vector512<double> scale)
    {
        Vector512<double> difference = value - center;
        Vector512<double> distance = Vector512.Min(Vector512.Abs(difference) * scale, Vector512.Create(Farthest));
        Vector512<long> octave =
            (distance.AsInt64() >> (52 - MantissaBits)) - Vector512.Create((long)FirstOctave);
        // A whole number below 2^52 stands in the last bits of its sum with 2^52.
        Vector512<long> finest =
            (Vector512.Floor(distance) + Vector512.Create((double)(1L << 52))).AsInt64() & Vector512.Create(0xFFL);
        Vector512<long> bin = Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(octave, Vector512<long>.Zero),
            Vector512.Create(2L * BinsPerOctave) + octave, finest);
        bin = Vector512.ConditionalSelect(
            Vector512.LessThan(difference, Vector512<double>.Zero).AsInt64(),
            Vector512.Create(Side - 1L) - bin, Vector512.Create((long)Side) + bin);
        bin = Vector512.ConditionalSelect(
            Vector512.Equals(value, Vector512<double>.Zero).AsInt64(), Vector512.Create((long)Zero), bin);
        return Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(Vector512.Abs(value), Vector512.Create(double.MaxValue)).AsInt64(),
            bin, Vector512.Create((long)Missing));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static unsafe void Increment(double* target, Vector512<long> bins, long* places)
    {
        bins.Store(places);
        for (int i = 0; i < Vector512<long>.Count; i++)
            target[places[i]]++;
    }

    static double[] Deviations(BatchStatistics statistics) =>
        [.. Enumerable.Range(0, statistics.Channels).Select(c => Math.Sqrt(statistics.Variance(c)))];

    static bool SameBits(double[] left, double[] right) =>
        MemoryMarshal.AsBytes<double>(left).SequenceEqual(MemoryMarshal.AsBytes<double>(right));
}
