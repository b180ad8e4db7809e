using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How far the moving statistics of one batch normalization layer were from the exact ones at the end of an epoch. An
/// immutable value.
/// </summary>
/// <remarks>
/// The exact mean μ and variance σ² are those of the training rows under the parameters that the epoch ended with, as
/// <see cref="ITrainingSession.RecomputeStatistics"/> gives them. With the layer's ε, the distance of a channel's
/// moving mean m is |m − μ| / √(σ² + ε), in standard deviations of the layer's input. The distance of its moving
/// variance v is |ln((v + ε) / (σ² + ε))|, so that 0.7 is twice or half the variance. A distance that is NaN counts as
/// infinite.
/// </remarks>
[JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
public sealed record StatisticsDistance
{
    /// <summary>The name of the phase of a <see cref="FineTuningPlan"/>; empty without a plan.</summary>
    public string Phase { get; init; } = "";

    /// <summary>The epoch in its phase, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>The layer's path.</summary>
    public required string Layer { get; init; }

    /// <summary>The median over the channels of the mean's distance, in standard deviations.</summary>
    public required double MeanMedian { get; init; }

    /// <summary>The greatest distance of a channel's mean, in standard deviations.</summary>
    public required double MeanMaximum { get; init; }

    /// <summary>The median over the channels of the variance's distance, in logarithms to base e.</summary>
    public required double VarianceMedian { get; init; }

    /// <summary>The greatest distance of a channel's variance, in logarithms to base e.</summary>
    public required double VarianceMaximum { get; init; }

    internal static StatisticsDistance Between(
        string phase, int epoch, string layer, BatchNormalizationState moving, BatchNormalizationState exact,
        double epsilon)
    {
        double[] means = new double[moving.Channels], variances = new double[moving.Channels];
        for (int c = 0; c < moving.Channels; c++)
        {
            double variance = exact.MovingVariance[c] + epsilon, held = moving.MovingVariance[c] + epsilon;
            double shift = Math.Abs(moving.MovingMean[c] - exact.MovingMean[c]);
            means[c] = Distance(shift == 0 ? 0 : shift / Math.Sqrt(variance));
            variances[c] = Distance(held == variance ? 0 : Math.Abs(Math.Log(held / variance)));
        }
        Array.Sort(means);
        Array.Sort(variances);
        return new StatisticsDistance
        {
            Phase = phase,
            Epoch = epoch,
            Layer = layer,
            MeanMedian = Median(means),
            MeanMaximum = means[^1],
            VarianceMedian = Median(variances),
            VarianceMaximum = variances[^1],
        };
    }

    static double Distance(double value) => double.IsNaN(value) ? double.PositiveInfinity : value;

    static double Median(double[] sorted) =>
        0.5 * sorted[(sorted.Length - 1) / 2] + 0.5 * sorted[sorted.Length / 2];
}
