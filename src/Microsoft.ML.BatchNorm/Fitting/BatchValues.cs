using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>How many values of a channel share the statistics of a batch.</summary>
static class BatchValues
{
    /// <summary>
    /// Below so many, the average of the batches' variances, (n − 1)/n of the variance, is short of it by more than 5 %.
    /// </summary>
    const int Few = 20;

    /// <param name="options">The layer's options.</param>
    /// <param name="row">One row.</param>
    /// <param name="batchRows">The rows of a batch.</param>
    public static long PerChannel(BatchNormalizationOptions options, ChannelLayout row, int batchRows) =>
        (long)Math.Min(batchRows, options.VirtualBatchSize ?? batchRows) * row.Positions;

    /// <summary>Whether the average of the variances of so many values each is visibly less than the variance.</summary>
    public static bool AreFew(BatchNormalizationOptions options, long values) =>
        values < Few && options.EffectiveVarianceConvention == VarianceConvention.Population;

    public static string DescribeFew(long values) => FormattableString.Invariant(
        $"the average of the variances of {values} values per channel and batch is {100.0 / values:F0} % less than the ")
        + "variance.";
}
