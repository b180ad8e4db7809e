using System.Globalization;
using Tensors = Microsoft.ML.BatchNorm.BatchNormalizationTensors;

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
        string? fault = StateCheck.FiniteFault(state.MovingMean, channels, nameOf(Tensors.Mean))
            ?? StateCheck.NotNegativeFault(state.MovingVariance, channels, nameOf(Tensors.Variance))
            ?? (state.Gamma.IsEmpty ? null : StateCheck.FiniteFault(state.Gamma, channels, nameOf(Tensors.Gamma)))
            ?? (state.Beta.IsEmpty ? null : StateCheck.FiniteFault(state.Beta, channels, nameOf(Tensors.Beta)));
        if (fault is null && state.Renorm is { } renorm)
            fault = StateCheck.NotNegativeFault(renorm.MovingStandardDeviation, channels, nameOf(Tensors.Renorm[0]))
                ?? StateCheck.FiniteFault(renorm.Mean, channels, nameOf(Tensors.Renorm[1]))
                ?? StateCheck.NotNegativeFault(renorm.StandardDeviation, channels, nameOf(Tensors.Renorm[2]));
        if (fault is null && state.Population is { } population)
            fault = StateCheck.CountFault(population.Count, nameOf(Tensors.Population[0]))
                ?? StateCheck.NotNegativeFault(population.M2, channels, nameOf(Tensors.Population[1]))
                ?? StateCheck.RestFault(population.MeanRest, state.MovingMean, nameOf(Tensors.Population[2]))
                ?? StateCheck.RestFault(population.M2Rest, population.M2, nameOf(Tensors.Population[3]));
        if (fault is null && state.BatchesSeen < 0)
            fault = $"The number {nameOf(Tensors.Batches)} is {state.BatchesSeen}; it must not be negative.";
        if (fault is null && state.InitialWeight is not (>= 0 and <= 1))
            fault = string.Create(
                CultureInfo.InvariantCulture,
                $"The share {nameOf(Tensors.InitialWeight)} is {state.InitialWeight}; it must be from 0 to 1.");
        return fault;
    }
}
