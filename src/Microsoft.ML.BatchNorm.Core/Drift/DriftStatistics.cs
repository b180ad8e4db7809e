using System.Numerics;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a comparison needs to know about new data, added block by block in one pass: the exact statistics of the values
/// and of their squared deviations from the training mean, which show how heavy the tails are; and where the state has
/// histograms, those of the values on the same grid.
/// </summary>
/// <remarks>Use an instance from one thread at a time: give each thread its own, and merge them.</remarks>
public sealed class DriftStatistics
{
    readonly BatchNormalizationState state;
    readonly BatchStatistics values;
    readonly BatchStatistics? squares;
    readonly ChannelHistograms? histograms;
    double[] buffer = [];
    int valuesPerRow = 1;
    double positions;

    /// <summary>Statistics without values.</summary>
    /// <param name="state">The state to compare the values with.</param>
    public DriftStatistics(BatchNormalizationState state)
        : this(state, hasSquares: true, hasHistograms: true)
    {
    }

    DriftStatistics(BatchNormalizationState state, bool hasSquares, bool hasHistograms)
    {
        ArgumentNullException.ThrowIfNull(state);
        this.state = state;
        values = new BatchStatistics(state.Channels);
        squares = hasSquares ? new BatchStatistics(state.Channels) : null;
        histograms = hasHistograms ? state.Histograms?.NewEmpty() : null;
    }

    /// <summary>Adds a block of values.</summary>
    /// <param name="layout">
    /// Where the channels are in <paramref name="x"/>. The rows have the same size in every block.
    /// </param>
    /// <param name="x">One value per element of the layout.</param>
    /// <param name="nonFinite">What to do with NaN and infinities.</param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <exception cref="ArgumentException">
    /// A length or the number of channels does not fit; nothing was added.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A value is not finite, and <paramref name="nonFinite"/> does not ignore it; nothing was added.
    /// </exception>
    public void Add(
        ChannelLayout layout, ReadOnlySpan<float> x, NonFinite nonFinite = NonFinite.Throw, int threads = 1) =>
        Add(layout, x, default, nonFinite, threads);

    /// <inheritdoc cref="Add(ChannelLayout, ReadOnlySpan{float}, NonFinite, int)"/>
    public void Add(
        ChannelLayout layout, ReadOnlySpan<double> x, NonFinite nonFinite = NonFinite.Throw, int threads = 1) =>
        Add(layout, x, default, nonFinite, threads);

    /// <summary>Adds everything that was added to <paramref name="other"/>.</summary>
    /// <exception cref="ArgumentException">
    /// <paramref name="other"/> is for a state with other moving means or other histograms.
    /// </exception>
    public void Merge(DriftStatistics other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (!state.MovingMean.SequenceEqual(other.state.MovingMean))
            throw new ArgumentException("The argument other is for a state with other moving means.", nameof(other));
        if ((histograms is null) != (other.histograms is null))
            throw new ArgumentException(
                $"The argument other {(histograms is null ? "has" : "lacks")} histograms.", nameof(other));
        histograms?.Merge(other.histograms!);
        values.Merge(other.values);
        squares?.Merge(other.squares!);
        valuesPerRow = Math.Max(valuesPerRow, other.valuesPerRow);
        positions += other.positions;
    }

    /// <summary>Compares what was added with the state.</summary>
    /// <param name="names">One name per channel, or null.</param>
    /// <param name="subject">What is compared, such as the name of a column, for the report; or null.</param>
    /// <exception cref="ArgumentException">The number of names differs.</exception>
    public DriftReport Compare(IReadOnlyList<string>? names = null, string? subject = null) =>
        DriftReport.Compare(state, values, squares, histograms, positions, valuesPerRow, names, subject);

    /// <summary>Adds the positions of a block that a mask keeps.</summary>
    internal void Add<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask, NonFinite nonFinite, int threads)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        values.Merge(BatchStatistics.Of(layout, x, mask, nonFinite, threads));
        positions += mask.IsEmpty ? layout.Positions : mask.Count(true);
        AddSquares(layout, x, mask, threads);
        histograms?.Count(layout, x, mask);
    }

    /// <summary>Statistics of mean and variance alone, for few rows.</summary>
    internal static DriftStatistics OfMoments(BatchNormalizationState state) =>
        new(state, hasSquares: true, hasHistograms: false);

    /// <summary>Statistics that serve only <see cref="MayDrift"/>, in half the time.</summary>
    internal static DriftStatistics ForQuickCheck(BatchNormalizationState state) =>
        new(state, hasSquares: false, hasHistograms: false);

    /// <inheritdoc cref="ChannelComparison.MayDrift"/>
    internal bool MayDrift(double level) =>
        new ChannelComparison(state, values, squares, histograms: null, positions: null, valuesPerRow).MayDrift(level);

    /// <summary>Leaves out squares that overflow; their values, which are finite, still count.</summary>
    unsafe void AddSquares<T>(ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask, int threads)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        valuesPerRow = Math.Max(valuesPerRow, layout.Positions / layout.Rows);
        if (squares is null)
            return;
        if (buffer.Length < layout.Count)
            buffer = new double[layout.Count];
        fixed (T* from = x)
        fixed (double* mean = state.MovingMean, to = buffer)
        {
            for (int outer = 0; layout.Inner == 1 && outer < layout.Outer; outer++)
                SquareRow(
                    from + (nint)outer * layout.Channels, mean, to + (nint)outer * layout.Channels, layout.Channels);
            for (int run = 0; layout.Inner > 1 && run < layout.Outer * layout.Channels; run++)
            {
                nint at = (nint)run * layout.Inner;
                SquareRun(from + at, mean[run % layout.Channels], to + at, layout.Inner);
            }
        }
        squares.Merge(BatchStatistics.Of<double>(
            layout, buffer.AsSpan(0, layout.Count), mask, NonFinite.Ignore, threads, mayOverflow: true));
    }

    static unsafe void SquareRow<T>(T* x, double* mean, double* y, int length)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        int i = 0;
        for (; i <= length - Vector512<double>.Count; i += Vector512<double>.Count)
        {
            Vector512<double> deviation = Simd.LoadEight(x + i) - Vector512.Load(mean + i);
            (deviation * deviation).Store(y + i);
        }
        for (; i < length; i++)
            y[i] = Square(double.CreateTruncating(x[i]) - mean[i]);
    }

    static unsafe void SquareRun<T>(T* x, double mean, double* y, int length)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        for (int i = 0; i < length; i++)
            y[i] = Square(double.CreateTruncating(x[i]) - mean);
    }

    static double Square(double deviation) => deviation * deviation;
}
