namespace Microsoft.ML.BatchNorm;

/// <summary>How far new values of one channel are from what the training statistics hold; immutable.</summary>
/// <remarks>
/// m, v and n are mean, sample variance and number of values in training, m′, v′ and n′ those of the new data. What the
/// numbers of values do not give is NaN.
/// </remarks>
public sealed record ChannelDrift
{
    /// <summary>The channel, from 0.</summary>
    public required int Channel { get; init; }

    /// <summary>The channel's name, such as that of a slot; null where it has none.</summary>
    public string? Name { get; init; }

    /// <summary>n; positive infinity where the state has no count, and its statistics are taken as exact.</summary>
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
    /// The standardized mean shift (m′ − m)/√v, Glass's Δ: by how many of its training deviations the channel has
    /// moved. Infinite where a constant channel has another value.
    /// </summary>
    public required double MeanShift { get; init; }

    /// <summary>v′/v; 1 where both are 0, and infinite where a constant channel is constant no longer.</summary>
    public required double VarianceRatio { get; init; }

    /// <summary>
    /// The symmetric Kullback–Leibler divergence of the two normal distributions of these moments, in nats, both
    /// directions added (Jeffreys): ½ (v/v′ + v′/v − 2 + (m′ − m)² (1/v + 1/v′)). 0 for two equal constants, infinite
    /// where one side alone is constant.
    /// </summary>
    public required double Divergence { get; init; }

    /// <summary>
    /// t of the test of the means (scipy's <c>statistic</c>): (m′ − m) over the standard error, Welch's or Student's
    /// pooled one, whichever gives the greater p-value; its sign is that of the shift. Infinite where a constant has
    /// become another.
    /// </summary>
    public required double Statistic { get; init; }

    /// <summary>Two-sided p-value of <see cref="Statistic"/> alone, not corrected; 1 where there is no test.</summary>
    public required double PValue { get; init; }

    /// <summary>
    /// t of the test of the variances, robust to kurtosis: (v′ − v)/(max(v, v′) √((κ − 1)(1/n + 1/n′))), with the
    /// kurtosis κ of the new data, at least 3, and times v/v′, up to 4, where v is the greater.
    /// </summary>
    public required double VarianceStatistic { get; init; }

    /// <summary>Two-sided p-value of <see cref="VarianceStatistic"/> alone; 1 where there is no test.</summary>
    public required double VariancePValue { get; init; }

    /// <summary>
    /// The smaller p-value of both tests, corrected by Holm for all tests of all channels. Flagging channels up to α
    /// flags any channel that has not drifted with probability α at most, over the whole report.
    /// </summary>
    public required double AdjustedPValue { get; init; }
}
