namespace Microsoft.ML.BatchNorm;

public static partial class BatchNormalization
{
    /// <summary>
    /// Normalizes a batch, in the mode that <paramref name="training"/> and the options give.
    /// </summary>
    /// <param name="options">The layer's options.</param>
    /// <param name="state">The state before; it does not change.</param>
    /// <param name="layout">Where the channels lie in <paramref name="x"/> and <paramref name="y"/>.</param>
    /// <param name="x">The batch, one value an element of the layout.</param>
    /// <param name="y">The output, as long as <paramref name="x"/>; may be the same memory.</param>
    /// <param name="training">
    /// Whether training mode is asked for; a layer that is not trainable stays in inference mode.
    /// </param>
    /// <param name="mask">
    /// One entry a position, false to leave it out of the statistics; or empty to count all. Output is formed at every
    /// position.
    /// </param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <returns>The next state, and what the backward pass needs.</returns>
    /// <exception cref="ArgumentException">
    /// Options contradict each other, lengths or channels do not fit, or the memory overlaps.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A kept value is not finite and the options do not ignore it, or a channel has a single value and the options
    /// have the sample variance.
    /// </exception>
    public static ForwardPass Forward(
        BatchNormalizationOptions options, BatchNormalizationState state, ChannelLayout layout, ReadOnlySpan<float> x,
        Span<float> y, bool training, ReadOnlySpan<bool> mask = default, int threads = 1) =>
        Run(options, state, layout, x, y, training, mask, threads);

    /// <inheritdoc cref="Forward(BatchNormalizationOptions, BatchNormalizationState, ChannelLayout,
    /// ReadOnlySpan{float}, Span{float}, bool, ReadOnlySpan{bool}, int)"/>
    public static ForwardPass Forward(
        BatchNormalizationOptions options, BatchNormalizationState state, ChannelLayout layout, ReadOnlySpan<double> x,
        Span<double> y, bool training, ReadOnlySpan<bool> mask = default, int threads = 1) =>
        Run(options, state, layout, x, y, training, mask, threads);

    static ForwardPass Run<T>(
        BatchNormalizationOptions options, BatchNormalizationState state, ChannelLayout layout, ReadOnlySpan<T> x,
        Span<T> y, bool training, ReadOnlySpan<bool> mask, int threads) where T : unmanaged
    {
        CheckState(options, state);
        layout.CheckMade(nameof(layout));
        layout.CheckChannels(state.Channels, nameof(state));
        layout.CheckLength(x.Length, nameof(x));
        layout.CheckMask(mask.Length, nameof(mask));
        Buffers.CheckOutput(x, y, nameof(y));
        Check.Positive(threads, nameof(threads));

        if (!options.UsesBatchStatistics(training))
        {
            var moving = new Normalization(options, state);
            new AffineMap(moving, options, state).Apply(layout, x, y, mask, threads);
            return new ForwardPass(options, state, state, layout, mask.ToArray(), [moving]);
        }

        var groups = RowGroups.OfSize(layout, training ? options.VirtualBatchSize : null);
        BatchStatistics[] statistics = Statistics(options, layout, groups, x, mask, threads);
        if (options.EffectiveVarianceConvention == VarianceConvention.Sample)
            Array.ForEach(statistics, group => SingleValue.ThrowIfAny(group, options.MovesStatistics(training)));
        BatchNormalizationState next = options.MovesStatistics(training)
            ? MovingUpdate.Next(options, state, statistics)
            : state;
        var normalizations = new Normalization[groups.Count];
        for (int group = 0; group < groups.Count; group++)
        {
            normalizations[group] = new Normalization(options, state, statistics[group]);
            var map = new AffineMap(normalizations[group], options, state);
            if (groups.Count == 1)
            {
                map.ApplyUnchecked(layout, x, y, threads);
                break;
            }
            T[] rows = groups.Gather(x, group);
            map.ApplyUnchecked<T>(groups.Layout(group), rows, rows, threads);
            groups.Scatter(rows, y, group);
        }
        return new ForwardPass(options, state, next, layout, mask.ToArray(), normalizations);
    }
}
