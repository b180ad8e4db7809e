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
        int channels = state.Channels;
        double[] mean = new double[channels], inverse = new double[channels];
        double[]? factor = null, offset = null;
        if (options.Renorm is not null)
            (factor, offset) = (new double[channels], new double[channels]);
        for (int c = 0; c < channels; c++)
        {
            bool has = statistics.Count[c] > 0;
            mean[c] = has ? statistics.Mean[c] : state.MovingMean[c];
            double variance = has ? statistics.Variance(c) : state.MovingVariance[c];
            inverse[c] = Inverse(variance, options.Epsilon);
            if (factor is null)
                continue;
            (factor[c], offset![c]) = has
                ? Renormalization.Correction(options, state.Renorm!, c, mean[c], variance)
                : (1, 0);
        }
        return new Normalization(mean, inverse, statistics.Count.ToArray(), factor, offset);
    }

    /// <summary>1/√(variance + ε); a channel with neither is mapped to β, and has no gradient.</summary>
    static double Inverse(double variance, double epsilon) =>
        variance + epsilon > 0 ? 1 / Math.Sqrt(variance + epsilon) : 0;
}
