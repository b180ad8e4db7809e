using System.Globalization;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>What is wrong with the values of a state that came from, or goes to, a stream.</summary>
static class StateFault
{
    /// <param name="state">The state.</param>
    /// <param name="nameOf">What the file calls a tensor.</param>
    /// <returns>Field and channel of the first value out of range, in words; null when all are in range.</returns>
    public static string? Of(BatchNormalizationState state, Func<string, string> nameOf)
    {
        int channels = state.Channels;
        string? fault = StateCheck.FiniteFault(state.MovingMean, channels, nameOf(LayerTensor.MovingMean))
            ?? StateCheck.NotNegativeFault(state.MovingVariance, channels, nameOf(LayerTensor.MovingVariance))
            ?? (state.Gamma.IsEmpty ? null : StateCheck.FiniteFault(state.Gamma, channels, nameOf(LayerTensor.Gamma)))
            ?? (state.Beta.IsEmpty ? null : StateCheck.FiniteFault(state.Beta, channels, nameOf(LayerTensor.Beta)));
        if (fault is null && state.Renorm is { } renorm)
            fault = StateCheck.NotNegativeFault(renorm.MovingStandardDeviation, channels, nameOf(LayerTensor.Renorm[0]))
                ?? StateCheck.FiniteFault(renorm.Mean, channels, nameOf(LayerTensor.Renorm[1]))
                ?? StateCheck.NotNegativeFault(renorm.StandardDeviation, channels, nameOf(LayerTensor.Renorm[2]));
        if (fault is null && state.Population is { } population)
            fault = StateCheck.CountFault(population.Count, nameOf(LayerTensor.Population[0]))
                ?? StateCheck.NotNegativeFault(population.M2, channels, nameOf(LayerTensor.Population[1]))
                ?? StateCheck.RestFault(population.MeanRest, state.MovingMean, nameOf(LayerTensor.Population[2]))
                ?? StateCheck.RestFault(population.M2Rest, population.M2, nameOf(LayerTensor.Population[3]));
        if (fault is null && state.BatchesSeen < 0)
            fault = $"The number {nameOf(LayerTensor.BatchesSeen)} is {state.BatchesSeen}; it must not be negative.";
        if (fault is null && state.InitialWeight is not (>= 0 and <= 1))
            fault = string.Create(
                CultureInfo.InvariantCulture,
                $"The share {nameOf(LayerTensor.InitialWeight)} is {state.InitialWeight}; it must be from 0 to 1.");
        return fault;
    }
}
