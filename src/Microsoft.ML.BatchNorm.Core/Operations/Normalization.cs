namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The numbers that one pass normalizes with, by channel: <c>x̂ = (x − Mean)·InverseDeviation</c>, and with
/// renormalization <c>x̂·Factor + Offset</c>. <see cref="Count"/> values stand behind the mean and deviation of a
/// channel, or 0 where these are constants to the gradient.
/// </summary>
sealed class Normalization
{
    readonly double[]? factor, offset;

    Normalization(double[] mean, double[] inverseDeviation, double[] count, double[]? factor = null, double[]? offset = null)
    {
        Mean = mean;
        InverseDeviation = inverseDeviation;
        Count = count;
        this.factor = factor;
        this.offset = offset;
    }

    public double[] Mean { get; }

    public double[] InverseDeviation { get; }

    public double[] Count { get; }

    public double Factor(int channel) => factor?[channel] ?? 1;

    public double Offset(int channel) => offset?[channel] ?? 0;

    /// <summary>Inference: the moving statistics.</summary>
    public static Normalization Moving(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        double[] inverse = new double[state.Channels];
        for (int c = 0; c < inverse.Length; c++)
            inverse[c] = Inverse(state.MovingVariance[c], options.Epsilon);
        return new Normalization(state.MovingMean.ToArray(), inverse, new double[inverse.Length]);
    }

    /// <summary>Training: the batch's own, and the moving ones for a channel without a value.</summary>
    public static Normalization Batch(
        BatchNormalizationOptions options, BatchNormalizationState state, BatchStatistics statistics)
    {
        double[] mean = statistics.Mean.ToArray(), inverse = new double[mean.Length];
        double[]? factor = null, offset = null;
        if (options.Renorm is not null)
            (factor, offset) = (new double[mean.Length], new double[mean.Length]);
        for (int c = 0; c < inverse.Length; c++)
        {
            if (statistics.Count[c] == 0)
            {
                mean[c] = state.MovingMean[c];
                inverse[c] = Inverse(state.MovingVariance[c], options.Epsilon);
                factor?[c] = 1;
                continue;
            }
            double variance = statistics.Variance(c);
            inverse[c] = Inverse(variance, options.Epsilon);
            if (factor is not null)
                (factor[c], offset![c]) = Renormalization.Correction(options, state.Renorm!, c, mean[c], variance);
        }
        return new Normalization(mean, inverse, statistics.Count.ToArray(), factor, offset);
    }

    /// <summary>1/√(variance + ε); a channel with neither is mapped to β, and has no gradient.</summary>
    static double Inverse(double variance, double epsilon) =>
        variance + epsilon > 0 ? 1 / Math.Sqrt(variance + epsilon) : 0;
}
