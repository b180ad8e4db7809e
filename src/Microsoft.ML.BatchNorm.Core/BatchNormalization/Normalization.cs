using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The numbers that one pass normalizes with, by channel: <c>x̂ = (x − Mean)·InverseDeviation</c>, and with
/// renormalization <c>x̂·Factor + Offset</c>. <see cref="Count"/> values stand behind the mean and deviation of a
/// channel, or 0 where these are constants to the gradient.
/// </summary>
sealed class Normalization
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

    /// <summary>Training: the batch's own, and the moving ones for a channel without a value.</summary>
    public Normalization(
        BatchNormalizationOptions options, BatchNormalizationState state, BatchStatistics statistics)
    {
        this.state = state;
        this.statistics = statistics;
        inverseDeviation = new double[state.Channels];
        ChannelMath.InverseDeviation(statistics.M2, statistics.Count, options.EffectiveEpsilon, inverseDeviation);
        if (statistics.Count.Contains(0))
        {
            var moving = new Normalization(options, state);
            ownMean = statistics.Mean.ToArray();
            for (int c = 0; c < ownMean.Length; c++)
            {
                if (statistics.Count[c] == 0)
                    (ownMean[c], inverseDeviation[c]) = (state.MovingMean[c], moving.InverseDeviation[c]);
            }
        }
        if (options.Renorm is null)
            return;
        factor = new double[state.Channels];
        offset = new double[state.Channels];
        for (int c = 0; c < factor.Length; c++)
        {
            (factor[c], offset[c]) = statistics.Count[c] == 0
                ? (1, 0)
                : Renormalization.Correction(options, state.Renorm!, c, statistics.Mean[c], statistics.Variance(c));
        }
    }

    public ReadOnlySpan<double> Mean =>
        ownMean is not null ? ownMean : statistics is not null ? statistics.Mean : state.MovingMean;

    public ReadOnlySpan<double> InverseDeviation => inverseDeviation;

    /// <summary>Empty where all are 0.</summary>
    public ReadOnlySpan<double> Count => statistics is not null ? statistics.Count : default;

    public bool IsRenormalized => factor is not null;

    public double Factor(int channel) => factor?[channel] ?? 1;

    public double Offset(int channel) => offset?[channel] ?? 0;
}
