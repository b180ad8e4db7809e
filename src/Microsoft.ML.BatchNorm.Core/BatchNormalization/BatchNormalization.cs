using System.Diagnostics.Contracts;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Batch normalization as functions from options and state to outputs and a next state. In training mode each channel
/// of <c>x</c> becomes <c>γ (x − μ)/√(σ² + ε) + β</c> with the batch's mean and variance, and the moving statistics
/// take a step. In inference mode it becomes <c>γ (x − movingMean)/√(movingVariance + ε) + β</c>, and nothing moves.
/// </summary>
/// <remarks>
/// Source: Ioffe and Szegedy, "Batch Normalization", 2015 (arXiv 1502.03167); Keras's <c>BatchNormalization</c> and
/// PyTorch's <c>BatchNorm1d</c>, <c>2d</c> and <c>3d</c>. All functions are safe from any number of threads.
/// </remarks>
public static partial class BatchNormalization
{
    /// <summary>A fresh state, from the options' initializers.</summary>
    /// <exception cref="ArgumentException">
    /// Options contradict each other, there is not at least one channel, or an initializer gives a negative variance.
    /// </exception>
    public static BatchNormalizationState Initialize(BatchNormalizationOptions options, int channels)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Check.Positive(channels, nameof(channels));
        double[] mean = Values(options.MovingMeanInitializer, channels);
        double[] variance = Values(options.MovingVarianceInitializer, channels);
        StateCheck.NotNegative(variance, channels, "MovingVarianceInitializer's value");
        return new BatchNormalizationState(
            mean, variance,
            options.Scale ? Floats(options.GammaInitializer, channels) : [],
            options.Center ? Floats(options.BetaInitializer, channels) : [],
            batchesSeen: 0, initialWeight: 1,
            options.Renorm is null ? null : Renormalization.Initialize(mean, variance), population: null);
    }

    /// <summary>
    /// The state after training mode has seen a batch, with the same moving statistics as after a forward call, but
    /// without an output.
    /// </summary>
    /// <param name="options">The layer's options.</param>
    /// <param name="state">The state before; it does not change.</param>
    /// <param name="layout">Where the channels lie in <paramref name="x"/>.</param>
    /// <param name="x">The batch, one value per element of the layout.</param>
    /// <param name="mask">One entry per position: false leaves it out of the statistics. Empty counts all.</param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <returns>The next state: the same object if the options freeze it, or the mask hides everything.</returns>
    /// <exception cref="ArgumentException">
    /// Options contradict each other, or lengths or channels do not fit.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A kept value is not finite and the options do not ignore it, or a channel has a single value and the sample
    /// variance moves.
    /// </exception>
    [Pure]
    public static BatchNormalizationState UpdateMovingStatistics(
        BatchNormalizationOptions options, BatchNormalizationState state, ChannelLayout layout, ReadOnlySpan<float> x,
        ReadOnlySpan<bool> mask = default, int threads = 1) =>
        Update(options, state, layout, x, mask, threads);

    /// <inheritdoc cref="UpdateMovingStatistics(BatchNormalizationOptions, BatchNormalizationState, ChannelLayout,
    /// ReadOnlySpan{float}, ReadOnlySpan{bool}, int)"/>
    [Pure]
    public static BatchNormalizationState UpdateMovingStatistics(
        BatchNormalizationOptions options, BatchNormalizationState state, ChannelLayout layout, ReadOnlySpan<double> x,
        ReadOnlySpan<bool> mask = default, int threads = 1) =>
        Update(options, state, layout, x, mask, threads);

    /// <summary>
    /// The state with new γ and β, projected onto the options' constraints: the same object if the options freeze
    /// them.
    /// </summary>
    /// <param name="options">The layer's options.</param>
    /// <param name="state">The state before; it does not change.</param>
    /// <param name="gamma">One finite value per channel, or empty for a layer without scale.</param>
    /// <param name="beta">One finite value per channel, or empty for a layer without center.</param>
    /// <exception cref="ArgumentException">
    /// Options contradict each other, or a length or a value is out of range.
    /// </exception>
    [Pure]
    public static BatchNormalizationState UpdateAffine(
        BatchNormalizationOptions options, BatchNormalizationState state, ReadOnlySpan<float> gamma,
        ReadOnlySpan<float> beta)
    {
        CheckState(options, state);
        if (!options.Trainable || !options.TrainAffine)
            return state;
        float[] newGamma = gamma.ToArray(), newBeta = beta.ToArray();
        options.GammaConstraint?.Project(newGamma);
        options.BetaConstraint?.Project(newBeta);
        BatchNormalizationState next = state.WithAffine(newGamma, newBeta);
        CheckState(options, next);
        return next;
    }

    /// <summary>The sum of the options' penalties on γ and β, to be added to the loss.</summary>
    /// <exception cref="ArgumentException">Options contradict each other, or the state does not fit them.</exception>
    public static double Penalty(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        CheckState(options, state);
        return (options.GammaRegularizer?.Penalty(state.Gamma) ?? 0)
            + (options.BetaRegularizer?.Penalty(state.Beta) ?? 0);
    }

    /// <summary>Adds the gradient of the options' penalties to those of γ and β.</summary>
    /// <param name="options">The layer's options.</param>
    /// <param name="state">The state that holds γ and β.</param>
    /// <param name="dGamma">One value per channel, or empty for a layer without scale.</param>
    /// <param name="dBeta">One value per channel, or empty for a layer without center.</param>
    /// <exception cref="ArgumentException">Options contradict each other, or lengths do not fit.</exception>
    public static void AddPenaltyGradient(
        BatchNormalizationOptions options, BatchNormalizationState state, Span<float> dGamma, Span<float> dBeta)
    {
        CheckState(options, state);
        options.GammaRegularizer?.AddGradient(state.Gamma, dGamma);
        options.BetaRegularizer?.AddGradient(state.Beta, dBeta);
    }

    internal static void CheckState(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(state);
        options.Validate();
        if (options.Scale != state.Gamma.Length > 0)
            throw Contradiction("Scale", options.Scale, "Gamma", nameof(state));
        if (options.Center != state.Beta.Length > 0)
            throw Contradiction("Center", options.Center, "Beta", nameof(state));
        if (options.Renorm is not null && state.Renorm is null)
            throw new ArgumentException(
                "The options ask for Renorm, but the state has no Renorm averages.", nameof(state));
    }

    static ArgumentException Contradiction(string option, bool asked, string parameter, string name) =>
        new($"The options have {option} = {asked}, but the state has {(asked ? "no" : "a")} {parameter}.", name);

    static BatchNormalizationState Update<T>(
        BatchNormalizationOptions options, BatchNormalizationState state, ChannelLayout layout, ReadOnlySpan<T> x,
        ReadOnlySpan<bool> mask, int threads) where T : unmanaged
    {
        CheckState(options, state);
        layout.CheckMade(nameof(layout));
        layout.CheckChannels(state.Channels, nameof(state));
        layout.CheckLength(x.Length, nameof(x));
        layout.CheckMask(mask.Length, nameof(mask));
        return options.MovesStatistics(training: true)
            ? MovingUpdate.Next(
                options, state,
                Statistics(options, layout, RowGroups.OfSize(layout, options.VirtualBatchSize), x, mask, threads))
            : state;
    }

    static BatchStatistics[] Statistics<T>(
        BatchNormalizationOptions options, ChannelLayout layout, RowGroups groups, ReadOnlySpan<T> x,
        ReadOnlySpan<bool> mask, int threads) where T : unmanaged
    {
        if (groups.Count == 1)
            return [BatchStatistics.Of(layout, x, mask, options.NonFinite, threads)];
        if (options.NonFinite == NonFinite.Throw)
            NonFiniteInput.ThrowIfAny(layout, x, mask, nameof(x));
        var statistics = new BatchStatistics[groups.Count];
        for (int group = 0; group < statistics.Length; group++)
        {
            statistics[group] = BatchStatistics.Of<T>(
                groups.Layout(group), groups.Gather(x, group), groups.Gather(mask, group), options.NonFinite, threads);
        }
        return statistics;
    }

    static double[] Values(Initializer initializer, int channels)
    {
        double[] values = new double[channels];
        initializer.Fill(values);
        return values;
    }

    static float[] Floats(Initializer initializer, int channels) =>
        Array.ConvertAll(Values(initializer, channels), value => (float)value);

    /// <summary>
    /// Normalizes a batch, in the mode that follows from <paramref name="training"/> and the options.
    /// </summary>
    /// <param name="options">The layer's options.</param>
    /// <param name="state">The state before; it does not change.</param>
    /// <param name="layout">Where the channels lie in <paramref name="x"/> and <paramref name="y"/>.</param>
    /// <param name="x">The batch, one value per element of the layout.</param>
    /// <param name="y">The output, as long as <paramref name="x"/>; may be the same memory.</param>
    /// <param name="training">
    /// Whether training mode is asked for; a layer that is not trainable stays in inference mode.
    /// </param>
    /// <param name="mask">
    /// One entry per position: false leaves it out of the statistics. Empty counts all. Every position gets an output.
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

/// <summary>
/// The result of a forward call: the next state, and what <see cref="BatchNormalization"/>'s backward pass needs beside
/// the input, which is not kept. Immutable.
/// </summary>
public sealed class ForwardPass
{
    internal ForwardPass(
        BatchNormalizationOptions options, BatchNormalizationState state, BatchNormalizationState nextState,
        ChannelLayout layout, bool[] mask, Normalization[] groups)
    {
        Options = options;
        State = state;
        NextState = nextState;
        Layout = layout;
        Mask = mask;
        Groups = groups;
    }

    /// <summary>The state after the call: the same object as before it if no statistic moved.</summary>
    public BatchNormalizationState NextState { get; }

    /// <summary>Whether the output was normalized with the batch's own statistics.</summary>
    public bool UsedBatchStatistics => Array.Exists(Groups, group => group.Count.ContainsAnyExcept(0));

    internal BatchNormalizationOptions Options { get; }

    internal BatchNormalizationState State { get; }

    internal ChannelLayout Layout { get; }

    internal bool[] Mask { get; }

    internal Normalization[] Groups { get; }

    /// <summary>
    /// The mean that was subtracted, one value per channel, in the input's unit. With
    /// <see cref="BatchNormalizationOptions.VirtualBatchSize"/>, that of one group of rows.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The group does not exist.</exception>
    public ReadOnlySpan<double> Mean(int group = 0) => Group(group).Mean;

    /// <summary>1/√(variance + ε), one value per channel, of one group of rows.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The group does not exist.</exception>
    public ReadOnlySpan<double> InverseDeviation(int group = 0) => Group(group).InverseDeviation;

    Normalization Group(int group) =>
        (uint)group < (uint)Groups.Length
            ? Groups[group]
            : throw Check.OutOfRange(group, nameof(group), $"from 0 to {Groups.Length - 1}");
}

/// <summary>Checks of the memory that an operation reads and writes.</summary>
static class Buffers
{
    /// <summary>An output must be as long as the input, and be the same memory or not overlap it.</summary>
    public static void CheckOutput<T>(ReadOnlySpan<T> input, ReadOnlySpan<T> output, string name)
    {
        if (output.Length != input.Length)
            throw new ArgumentException(
                $"The argument {name} has {output.Length} values, the input has {input.Length}.", name);
        if (input.Overlaps(output, out int offset) && offset != 0)
            throw new ArgumentException(
                $"The argument {name} overlaps the input; it must be the same memory or apart.", name);
    }

    public static bool AreSame<T>(ReadOnlySpan<T> left, ReadOnlySpan<T> right) =>
        Unsafe.AreSame(ref MemoryMarshal.GetReference(left), ref MemoryMarshal.GetReference(right));
}
