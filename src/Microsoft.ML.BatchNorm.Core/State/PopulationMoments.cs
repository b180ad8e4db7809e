namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a state keeps, beside the moving mean, to go on merging exact statistics: count and sum of squared
/// deviations a channel.
/// </summary>
sealed class PopulationMoments
{
    readonly double[] count, m2;

    public PopulationMoments(BatchStatistics statistics)
        : this(statistics.Count.ToArray(), statistics.M2.ToArray())
    {
    }

    public PopulationMoments(double[] count, double[] m2) => (this.count, this.m2) = (count, m2);

    public ReadOnlySpan<double> Count => count;

    public ReadOnlySpan<double> M2 => m2;

    public BatchStatistics ToStatistics(ReadOnlySpan<double> mean) => new(count, mean, m2);
}
