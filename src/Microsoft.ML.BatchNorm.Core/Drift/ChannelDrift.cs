using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>How far the new values of one channel are from its training statistics; immutable.</summary>
/// <remarks>
/// m, v and n are the mean, the sample variance and the number of values in training; m′, v′ and n′ are those of the
/// new data. A number that needs more values than there are is NaN.
/// </remarks>
public sealed record ChannelDrift
{
    /// <summary>The channel, from 0.</summary>
    public required int Channel { get; init; }

    /// <summary>The channel's name, such as that of a slot; null where it has none.</summary>
    public string? Name { get; init; }

    /// <summary>n; positive infinity if the state has no count: its statistics are then taken as exact.</summary>
    public required double TrainingCount { get; init; }

    /// <summary>m, in the input's unit.</summary>
    public required double TrainingMean { get; init; }

    /// <summary>v, in the square of the input's unit.</summary>
    public required double TrainingVariance { get; init; }

    /// <summary>n′.</summary>
    public required double Count { get; init; }

    /// <summary>m′, in the input's unit.</summary>
    public required double Mean { get; init; }

    /// <summary>v′, in the square of the input's unit.</summary>
    public required double Variance { get; init; }

    /// <summary>
    /// The standardized mean shift (m′ − m)/√v, Glass's Δ: by how many of its training standard deviations the channel
    /// has moved. Infinite if a constant channel has another value now.
    /// </summary>
    public required double MeanShift { get; init; }

    /// <summary>v′/v; 1 if both are 0, and infinite if a constant channel is no longer constant.</summary>
    public required double VarianceRatio { get; init; }

    /// <summary>
    /// The symmetric Kullback–Leibler divergence of the two normal distributions with these moments, in nats, both
    /// directions added (Jeffreys): ½ (v/v′ + v′/v − 2 + (m′ − m)² (1/v + 1/v′)). It is 0 for two equal constants, and
    /// infinite if only one side is constant.
    /// </summary>
    public required double Divergence { get; init; }

    /// <summary>
    /// t of the test of the means (scipy's <c>statistic</c>): (m′ − m) over the standard error, Welch's or Student's
    /// pooled one, whichever gives the greater p-value; its sign is that of the shift. Infinite if a constant channel
    /// has become another constant.
    /// </summary>
    public required double Statistic { get; init; }

    /// <summary>Two-sided p-value of <see cref="Statistic"/> alone, not corrected; 1 if there is no test.</summary>
    public required double PValue { get; init; }

    /// <summary>
    /// t of the test of the variances, robust to kurtosis: (v′ − v)/(max(v, v′) √((κ − 1)(1/n + 1/n′))). κ is the
    /// kurtosis of the new data, and at least 3; if v is greater than v′, κ is multiplied by v/v′, and by 4 at most.
    /// </summary>
    public required double VarianceStatistic { get; init; }

    /// <summary>Two-sided p-value of <see cref="VarianceStatistic"/> alone; 1 if there is no test.</summary>
    public required double VariancePValue { get; init; }

    /// <summary>
    /// D of the test of the shapes: the greatest distance between the cumulative shares of the two histograms
    /// (Kolmogorov, Smirnov), from 0 to 1. It finds another distribution with the same mean and variance. NaN if the
    /// state or the comparison has no histograms (<see cref="ChannelHistograms"/>).
    /// </summary>
    public required double ShapeStatistic { get; init; }

    /// <summary>
    /// The p-value of <see cref="ShapeStatistic"/> alone, an upper bound; 1 if there is no test.
    /// </summary>
    public required double ShapePValue { get; init; }

    /// <summary>
    /// The share of the training values that were missing, from 0 to 1: NaN or infinite. NaN if it is not known, since
    /// the state has no histograms.
    /// </summary>
    public required double TrainingMissing { get; init; }

    /// <summary>The share of the new values that are missing; NaN if it is not known.</summary>
    public required double Missing { get; init; }

    /// <summary>
    /// Two-sided p-value of Fisher's exact test of the two shares of missing values; 1 if there is no test, since none
    /// is missing or a share is not known.
    /// </summary>
    public required double MissingPValue { get; init; }

    /// <summary>
    /// The smallest p-value of the tests, after Holm's correction for all tests of all channels. If you flag the
    /// channels with a value of at most α, the probability is at most α that the report flags any channel that has not
    /// drifted.
    /// </summary>
    public required double AdjustedPValue { get; init; }

    /// <summary>
    /// How strong the drift is, in nats: the divergence, or what any two distributions at this distance diverge by at
    /// least, 4 D² (Pinsker), whichever is greater. A share of missing values that has changed counts as a distance.
    /// </summary>
    internal double Strength => new[] { Divergence, 4 * Square(ShapeStatistic), 4 * Square(Missing - TrainingMissing) }
        .Where(measure => !double.IsNaN(measure)).DefaultIfEmpty(0).Max();

    static double Square(double value) => value * value;

    /// <summary>The name, or else the number.</summary>
    internal string Label => Name ?? Channel.ToString(CultureInfo.InvariantCulture);
}
