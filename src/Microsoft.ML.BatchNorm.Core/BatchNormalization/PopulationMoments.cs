namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a state keeps, beside the moving mean, to go on merging exact statistics: count and sum of squared deviations
/// per channel, and what the doubles of mean and sum do not hold.
/// </summary>
sealed class PopulationMoments(double[] count, double[] m2, double[] meanRest, double[] m2Rest)
{
    /// <summary>The arrays of one value per channel.</summary>
    public const int Arrays = 4;

    public PopulationMoments(BatchStatistics statistics)
        : this(
            statistics.Count.ToArray(), statistics.M2.ToArray(), statistics.MeanRest.ToArray(),
            statistics.M2Rest.ToArray())
    {
    }

    public ReadOnlySpan<double> Count => count;

    public ReadOnlySpan<double> M2 => m2;

    public ReadOnlySpan<double> MeanRest => meanRest;

    public ReadOnlySpan<double> M2Rest => m2Rest;

    /// <summary>The same with the values of each array in another order.</summary>
    public PopulationMoments Reorder(Func<double[], double[]> order) =>
        new(order(count), order(m2), order(meanRest), order(m2Rest));

    /// <param name="mean">The moving means; those of channels that have values are the exact ones.</param>
    public BatchStatistics ToStatistics(ReadOnlySpan<double> mean)
    {
        double[] means = mean.ToArray();
        for (int c = 0; c < means.Length; c++)
        {
            if (count[c] == 0)
                means[c] = 0;
        }
        return new BatchStatistics([.. count, .. means, .. m2, .. meanRest, .. m2Rest]);
    }
}
