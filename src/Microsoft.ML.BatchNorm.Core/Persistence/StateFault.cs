using System.Globalization;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>What is wrong with the values of a state that came from, or goes to, a stream.</summary>
static class StateFault
{
    /// <summary>Field and channel of the first value out of range, in words; null when all are in range.</summary>
    public static string? Of(BatchNormalizationState state, StateNames names)
    {
        int channels = state.Channels;
        string? fault = StateCheck.FiniteFault(state.MovingMean, channels, names.Mean)
            ?? StateCheck.NotNegativeFault(state.MovingVariance, channels, names.Variance)
            ?? (state.Gamma.IsEmpty ? null : StateCheck.FiniteFault(state.Gamma, channels, names.Gamma))
            ?? (state.Beta.IsEmpty ? null : StateCheck.FiniteFault(state.Beta, channels, names.Beta));
        if (fault is null && state.Renorm is { } renorm)
            fault = StateCheck.NotNegativeFault(renorm.MovingStandardDeviation, channels, names.Renorm[0])
                ?? StateCheck.FiniteFault(renorm.Mean, channels, names.Renorm[1])
                ?? StateCheck.NotNegativeFault(renorm.StandardDeviation, channels, names.Renorm[2]);
        if (fault is null && state.Population is { } population)
            fault = StateCheck.CountFault(population.Count, $"{names.Population}.count")
                ?? StateCheck.NotNegativeFault(population.M2, channels, $"{names.Population}.m2")
                ?? StateCheck.RestFault(population.MeanRest, state.MovingMean, $"{names.Population}.meanRest")
                ?? StateCheck.RestFault(population.M2Rest, population.M2, $"{names.Population}.m2Rest");
        if (fault is null && state.BatchesSeen < 0)
            fault = $"The number {names.Batches} is {state.BatchesSeen}; it must not be negative.";
        if (fault is null && state.InitialWeight is not (>= 0 and <= 1))
            fault = string.Create(
                CultureInfo.InvariantCulture,
                $"The share initialWeight is {state.InitialWeight}; it must be from 0 to 1.");
        return fault;
    }

    public static InvalidDataException Unknown(byte kind, string what) => new($"{kind} is no kind of {what}.");
}
