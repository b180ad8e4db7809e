namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a comparison needs of new data, added block by block in one pass: the exact statistics of the values, and of
/// their squared deviations from the training mean, which tell how heavy their tails are.
/// </summary>
/// <remarks>An instance is for one thread at a time: give each thread its own, and merge.</remarks>
public sealed class DriftStatistics
{
    readonly BatchNormalizationState state;
    readonly BatchStatistics values, squares;
    double[] buffer = [];
    int valuesPerRow = 1;

    /// <summary>Statistics of no values.</summary>
    /// <param name="state">What the values will be compared with.</param>
    public DriftStatistics(BatchNormalizationState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        this.state = state;
        values = new BatchStatistics(state.Channels);
        squares = new BatchStatistics(state.Channels);
    }

    /// <summary>Adds a block of values.</summary>
    /// <param name="layout">Where the channels lie in <paramref name="x"/>; every block has rows of one size.</param>
    /// <param name="x">One value an element of the layout.</param>
    /// <param name="nonFinite">What becomes of NaN and infinities.</param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <exception cref="ArgumentException">A length or the number of channels does not fit; nothing was added.</exception>
    /// <exception cref="InvalidDataException">A value is not finite, and counts; nothing was added.</exception>
    public void Add(
        ChannelLayout layout, ReadOnlySpan<float> x, NonFinite nonFinite = NonFinite.Throw, int threads = 1)
    {
        values.Add(layout, x, default, nonFinite, threads);
        double[] deviations = Room(layout);
        ReadOnlySpan<double> mean = state.MovingMean;
        int at = 0;
        for (int outer = 0; outer < layout.Outer; outer++)
        {
            for (int c = 0; c < mean.Length; c++)
            {
                for (int end = at + layout.Inner; at < end; at++)
                    deviations[at] = (x[at] - mean[c]) * (x[at] - mean[c]);
            }
        }
        AddSquares(layout, threads);
    }

    /// <inheritdoc cref="Add(ChannelLayout, ReadOnlySpan{float}, NonFinite, int)"/>
    public void Add(
        ChannelLayout layout, ReadOnlySpan<double> x, NonFinite nonFinite = NonFinite.Throw, int threads = 1)
    {
        values.Add(layout, x, default, nonFinite, threads);
        double[] deviations = Room(layout);
        ReadOnlySpan<double> mean = state.MovingMean;
        int at = 0;
        for (int outer = 0; outer < layout.Outer; outer++)
        {
            for (int c = 0; c < mean.Length; c++)
            {
                for (int end = at + layout.Inner; at < end; at++)
                    deviations[at] = (x[at] - mean[c]) * (x[at] - mean[c]);
            }
        }
        AddSquares(layout, threads);
    }

    /// <summary>Adds all that <paramref name="other"/> has seen.</summary>
    /// <exception cref="ArgumentException">The other is for another state, by its moving means.</exception>
    public void Merge(DriftStatistics other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (!state.MovingMean.SequenceEqual(other.state.MovingMean))
            throw new ArgumentException("other is for a state of other moving means.", nameof(other));
        values.Merge(other.values);
        squares.Merge(other.squares);
        valuesPerRow = Math.Max(valuesPerRow, other.valuesPerRow);
    }

    /// <summary>Compares what was added with the state.</summary>
    /// <param name="names">A name a channel, or null.</param>
    /// <exception cref="ArgumentException">The number of names differs.</exception>
    public DriftReport Compare(IReadOnlyList<string>? names = null) =>
        DriftReport.Compare(state, values, squares, valuesPerRow, names);

    double[] Room(ChannelLayout layout)
    {
        valuesPerRow = Math.Max(valuesPerRow, layout.Positions / layout.Rows);
        if (buffer.Length < layout.Count)
            buffer = new double[layout.Count];
        return buffer;
    }

    /// <summary>A square that overflows is left out, unlike the finite value that it is of.</summary>
    void AddSquares(ChannelLayout layout, int threads) =>
        squares.Add(layout, buffer.AsSpan(0, layout.Count), default, NonFinite.Ignore, threads);
}
