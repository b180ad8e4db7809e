namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The numbers that one pass normalizes with, per channel: <c>x̂ = (x − Mean)·InverseDeviation</c>, and with
/// renormalization <c>x̂·Factor + Offset</c>. Mean and deviation come from <see cref="Count"/> values of the batch; if
/// that is 0, they are constants for the gradient.
/// </summary>
sealed unsafe class Normalization
{
    readonly BatchStatistics? statistics;
    readonly double[]? ownMean, factor, offset;
    readonly BatchNormalizationState state;
    readonly double[] inverseDeviation;

    /// <summary>Inference: the moving statistics.</summary>
    public Normalization(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        this.state = state;
        inverseDeviation = new double[state.Channels];
        ChannelMath.InverseDeviation(state.MovingVariance, options.EffectiveEpsilon, inverseDeviation);
    }

    /// <summary>Training: the batch's own statistics, and the moving ones for a channel without a value.</summary>
    public Normalization(
        BatchNormalizationOptions options, BatchNormalizationState state, BatchStatistics statistics)
    {
        this.state = state;
        this.statistics = statistics;
        inverseDeviation = new double[state.Channels];
        ChannelMath.InverseDeviation(statistics.M2, statistics.Count, options.EffectiveEpsilon, inverseDeviation);
        if (statistics.Count.Contains(0))
        {
            ownMean = statistics.Mean.ToArray();
            TakeMovingForEmpty(
                options, statistics.Count, state.MovingMean, state.MovingVariance, ownMean, inverseDeviation);
        }
        if (options.Renorm is null)
            return;
        factor = new double[state.Channels];
        offset = new double[state.Channels];
        fixed (double* moments = statistics.Packed)
        {
            Renormalization.Correct(
                options, Moments.In(moments, state.Channels), state.Renorm!.Mean, state.Renorm.StandardDeviation,
                factor, offset);
        }
    }

    /// <summary>Normalizes each channel without a value in the batch with its moving statistics.</summary>
    public static void TakeMovingForEmpty(
        BatchNormalizationOptions options, ReadOnlySpan<double> count, ReadOnlySpan<double> movingMean,
        ReadOnlySpan<double> movingVariance, Span<double> mean, Span<double> inverseDeviation)
    {
        for (int c = 0; c < count.Length; c++)
        {
            if (count[c] != 0)
                continue;
            double variance = movingVariance[c] + options.EffectiveEpsilon;
            (mean[c], inverseDeviation[c]) = (movingMean[c], variance > 0 ? 1 / Math.Sqrt(variance) : 0);
        }
    }

    public ReadOnlySpan<double> Mean =>
        ownMean is not null ? ownMean : statistics is not null ? statistics.Mean : state.MovingMean;

    public ReadOnlySpan<double> InverseDeviation => inverseDeviation;

    /// <summary>Empty where all are 0.</summary>
    public ReadOnlySpan<double> Count => statistics is not null ? statistics.Count : default;

    /// <summary>Empty where all are 1.</summary>
    public ReadOnlySpan<double> Factors => factor;

    /// <summary>Empty where all are 0.</summary>
    public ReadOnlySpan<double> Offsets => offset;

    public double Factor(int channel) => factor?[channel] ?? 1;

    public double Offset(int channel) => offset?[channel] ?? 0;
}
