using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>A batch normalization's state as named tensors: γ and β in float, statistics in double.</summary>
static class BatchNormalizationTensors
{
    public const string Gamma = "gamma", Beta = "beta", Mean = "moving_mean", Variance = "moving_variance";

    public const string Batches = "batches_seen", InitialWeight = "initial_weight";

    public static IReadOnlyList<string> Renorm { get; } = ["moving_stddev", "renorm_mean", "renorm_stddev"];

    public static IReadOnlyList<string> Population { get; } =
        ["population_count", "population_m2", "population_mean_rest", "population_m2_rest"];

    public static IReadOnlyList<string> Histograms { get; } =
        ["histogram_mean", "histogram_deviation", "histogram_counts"];

    /// <summary>The tensors of a layer with these options.</summary>
    public static IEnumerable<TensorSpec> Specs(BatchNormalizationOptions options, int channels)
    {
        var shape = new TensorShape(channels);
        if (options.Scale)
            yield return Affine(Gamma, options.GammaInitializer, options.GammaRegularizer, options.GammaConstraint);
        if (options.Center)
            yield return Affine(Beta, options.BetaInitializer, options.BetaRegularizer, options.BetaConstraint);
        foreach (string name in (string[])[Mean, Variance])
        {
            yield return new(
                name, shape, TensorType.F64,
                options.TrackMovingStatistics ? TensorRole.Statistic : TensorRole.Other)
            {
                IsTrained = options.MovesStatistics(training: true),
            };
        }
        yield return Kept(Batches, TensorType.I64, new TensorShape(1), isOptional: true);
        yield return Kept(InitialWeight, TensorType.F64, new TensorShape(1), isOptional: true);
        foreach (string name in Renorm)
            yield return Kept(name, TensorType.F64, shape, isOptional: options.Renorm is null);
        foreach (string name in Population)
            yield return Kept(name, TensorType.F64, shape, isOptional: true);
        if (channels <= ChannelHistograms.MostChannels)
        {
            var bins = new TensorShape(channels, ChannelHistograms.Bins);
            foreach (string name in Histograms)
                yield return Kept(name, TensorType.F64, name == Histograms[2] ? bins : shape, isOptional: true);
        }

        TensorSpec Affine(string name, Initializer initializer, Regularizer? regularizer, Constraint? constraint) =>
            new(name, shape, TensorType.F32, TensorRole.Affine)
            {
                IsTrained = options.Trainable && options.TrainAffine,
                Initializer = initializer,
                Regularizer = regularizer,
                Constraint = constraint,
            };

        static TensorSpec Kept(string name, TensorType type, TensorShape shape, bool isOptional) =>
            new(name, shape, type, TensorRole.Other) { IsOptional = isOptional };
    }

    public static IEnumerable<KeyValuePair<string, Array>> Of(BatchNormalizationState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (!state.Gamma.IsEmpty)
            yield return new(Gamma, state.OwnGamma);
        if (!state.Beta.IsEmpty)
            yield return new(Beta, state.OwnBeta);
        yield return new(Mean, state.MovingMean.ToArray());
        yield return new(Variance, state.MovingVariance.ToArray());
        yield return new(Batches, new[] { state.BatchesSeen });
        yield return new(InitialWeight, new[] { state.InitialWeight });
        if (state.Renorm is { } averages)
        {
            yield return new(Renorm[0], averages.MovingStandardDeviation.ToArray());
            yield return new(Renorm[1], averages.Mean.ToArray());
            yield return new(Renorm[2], averages.StandardDeviation.ToArray());
        }
        if (state.Population is { } moments)
        {
            yield return new(Population[0], moments.Count.ToArray());
            yield return new(Population[1], moments.M2.ToArray());
            yield return new(Population[2], moments.MeanRest.ToArray());
            yield return new(Population[3], moments.M2Rest.ToArray());
        }
        if (state.Histograms is { } histograms)
        {
            yield return new(Histograms[0], histograms.Mean.ToArray());
            yield return new(Histograms[1], histograms.Deviation.ToArray());
            yield return new(Histograms[2], histograms.Counts.ToArray());
        }
    }

    /// <summary>The state that the tensors hold, or null if they are those of another kind of layer.</summary>
    public static BatchNormalizationState? ToState(LayerState tensors)
    {
        if (tensors.ArrayOf<double>(Mean) is not { } mean || tensors.ArrayOf<double>(Variance) is not { } variance)
            return null;
        double[]?[] averages = [.. Renorm.Select(tensors.ArrayOf<double>)],
            moments = [.. Population.Select(tensors.ArrayOf<double>)],
            histograms = [.. Histograms.Select(tensors.ArrayOf<double>)];
        return new BatchNormalizationState(
            mean, variance, tensors.ArrayOf<float>(Gamma) ?? [], tensors.ArrayOf<float>(Beta) ?? [],
            tensors.ArrayOf<long>(Batches)?[0] ?? 0, tensors.ArrayOf<double>(InitialWeight)?[0] ?? 0,
            averages is [{ } deviation, { } average, { } standard]
                ? RenormStatistics.Of(deviation, average, standard)
                : null,
            moments is [{ } count, { } m2, { } meanRest, { } m2Rest]
                ? new PopulationMoments(count, m2, meanRest, m2Rest)
                : null,
            histograms is [{ } centers, { } deviations, { } counts]
                ? ChannelHistograms.Of(centers, deviations, counts)
                : null);
    }

    /// <summary>Checks the values of a state that comes from a file or goes to one.</summary>
    /// <param name="state">The state.</param>
    /// <param name="nameOf">Gives the name of a tensor in the file.</param>
    /// <returns>
    /// A message that names tensor and channel of the first value out of range; null if all are in range.
    /// </returns>
    public static string? FaultOf(BatchNormalizationState state, Func<string, string> nameOf)
    {
        int channels = state.Channels;
        string? fault = StateCheck.FiniteFault(state.MovingMean, channels, nameOf(Mean))
            ?? StateCheck.NotNegativeFault(state.MovingVariance, channels, nameOf(Variance))
            ?? (state.Gamma.IsEmpty ? null : StateCheck.FiniteFault(state.Gamma, channels, nameOf(Gamma)))
            ?? (state.Beta.IsEmpty ? null : StateCheck.FiniteFault(state.Beta, channels, nameOf(Beta)));
        if (fault is null && state.Renorm is { } renorm)
            fault = StateCheck.NotNegativeFault(renorm.MovingStandardDeviation, channels, nameOf(Renorm[0]))
                ?? StateCheck.FiniteFault(renorm.Mean, channels, nameOf(Renorm[1]))
                ?? StateCheck.NotNegativeFault(renorm.StandardDeviation, channels, nameOf(Renorm[2]));
        if (fault is null && state.Population is { } population)
            fault = StateCheck.CountFault(population.Count, nameOf(Population[0]))
                ?? StateCheck.NotNegativeFault(population.M2, channels, nameOf(Population[1]))
                ?? StateCheck.RestFault(population.MeanRest, state.MovingMean, nameOf(Population[2]))
                ?? StateCheck.RestFault(population.M2Rest, population.M2, nameOf(Population[3]));
        if (fault is null && state.Histograms is { } histograms)
            fault = ChannelHistograms.FaultOf(
                    histograms, nameOf(Histograms[0]), nameOf(Histograms[1]), nameOf(Histograms[2]))
                ?? state.HistogramFault(nameOf(Histograms[2]));
        if (fault is null && state.BatchesSeen < 0)
            fault = $"The number {nameOf(Batches)} is {state.BatchesSeen}; it must not be negative.";
        if (fault is null && state.InitialWeight is not (>= 0 and <= 1))
            fault = string.Create(
                CultureInfo.InvariantCulture,
                $"The share {nameOf(InitialWeight)} is {state.InitialWeight}; it must be from 0 to 1.");
        return fault;
    }
}
