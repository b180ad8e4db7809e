namespace Microsoft.ML.BatchNorm;

/// <summary>Batch renormalization's correction and averages (Ioffe, 2017; Keras's <c>renorm</c>).</summary>
static class Renormalization
{
    public static RenormStatistics Initialize(ReadOnlySpan<double> movingMean, ReadOnlySpan<double> movingVariance)
    {
        double[] deviation = new double[movingVariance.Length];
        for (int c = 0; c < deviation.Length; c++)
            deviation[c] = Math.Sqrt(movingVariance[c]);
        return new RenormStatistics(deviation, movingMean, deviation);
    }

    /// <summary>r and d of a channel, clipped.</summary>
    public static (double Factor, double Offset) Correction(
        BatchNormalizationOptions options, RenormStatistics renorm, int channel, double mean, double variance) =>
        Correction(options, renorm.Mean[channel], renorm.StandardDeviation[channel], mean, variance);

    /// <summary>The same from the channel's averages.</summary>
    public static (double Factor, double Offset) Correction(
        BatchNormalizationOptions options, double averageMean, double averageDeviation, double mean, double variance)
    {
        RenormOptions limits = options.Renorm!;
        double deviation = Math.Sqrt(variance + options.EffectiveEpsilon);
        double average = Math.Max(averageDeviation, Math.Sqrt(options.EffectiveEpsilon));
        double factor = 1, offset = 0;
        if (average > 0)
        {
            factor = deviation / average;
            offset = (mean - averageMean) / average;
        }
        factor = Math.Min(Math.Max(factor, limits.RMin ?? 0), limits.RMax ?? double.PositiveInfinity);
        return (factor, limits.DMax is { } dMax ? Math.Clamp(offset, -dMax, dMax) : offset);
    }

    /// <summary>
    /// The averages after a batch; also writes the moving variance, which follows the moving deviation.
    /// </summary>
    public static RenormStatistics Next(
        BatchNormalizationOptions options, RenormStatistics renorm, BatchStatistics statistics, double[] movingVariance)
    {
        double[] moving = renorm.MovingStandardDeviation.ToArray();
        double[] mean = renorm.Mean.ToArray(), deviation = renorm.StandardDeviation.ToArray();
        double momentum = options.Renorm!.Momentum;
        for (int c = 0; c < moving.Length; c++)
        {
            if (statistics.Count[c] == 0)
                continue;
            double batch = Math.Sqrt(
                statistics.Variance(c, options.EffectiveVarianceConvention) + options.EffectiveEpsilon);
            mean[c] = Average.Exponential(mean[c], statistics.Mean[c], momentum);
            deviation[c] = Average.Exponential(deviation[c], batch, momentum);
            moving[c] = Average.Exponential(moving[c], batch, options.EffectiveMomentum);
            movingVariance[c] = Math.Max(moving[c] * moving[c] - options.EffectiveEpsilon, 0);
        }
        return RenormStatistics.Of(moving, mean, deviation);
    }
}
