using System.Collections.Immutable;
using System.Runtime.InteropServices;

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

    /// <summary>r and d of each channel for a batch; 1 and 0 where a channel has no value.</summary>
    public static unsafe void Correct(
        BatchNormalizationOptions options, Moments batch, ReadOnlySpan<double> averageMean,
        ReadOnlySpan<double> averageDeviation, Span<double> factor, Span<double> offset)
    {
        for (int c = 0; c < averageMean.Length; c++)
        {
            (factor[c], offset[c]) = batch.Count[c] == 0
                ? (1, 0)
                : Correction(options, averageMean[c], averageDeviation[c], batch.Mean[c], batch.M2[c] / batch.Count[c]);
        }
    }

    /// <summary>r and d of a channel, clipped, from its averages and the batch's mean and variance.</summary>
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

    /// <summary>The averages after a batch; also writes the moving variance.</summary>
    public static RenormStatistics Next(
        BatchNormalizationOptions options, RenormStatistics renorm, Moments batch, Span<double> movingVariance)
    {
        double[] moving = renorm.MovingStandardDeviation.ToArray();
        double[] mean = renorm.Mean.ToArray(), deviation = renorm.StandardDeviation.ToArray();
        Move(options, batch, moving, mean, deviation, movingVariance);
        return RenormStatistics.Of(moving, mean, deviation);
    }

    /// <summary>
    /// Moves the averages in place by a batch, and the moving variance, which follows the moving deviation.
    /// </summary>
    public static unsafe void Move(
        BatchNormalizationOptions options, Moments batch, Span<double> moving, Span<double> mean,
        Span<double> deviation, Span<double> movingVariance)
    {
        double momentum = options.Renorm!.Momentum, epsilon = options.EffectiveEpsilon;
        int less = MovingUpdate.LessCount(options.EffectiveVarianceConvention);
        for (int c = 0; c < moving.Length; c++)
        {
            if (batch.Count[c] == 0)
                continue;
            double here = Math.Sqrt(batch.M2[c] / (batch.Count[c] - less) + epsilon);
            mean[c] = MovingUpdate.Exponential(mean[c], batch.Mean[c], momentum);
            deviation[c] = MovingUpdate.Exponential(deviation[c], here, momentum);
            moving[c] = MovingUpdate.Exponential(moving[c], here, options.EffectiveMomentum);
            movingVariance[c] = Math.Max(moving[c] * moving[c] - epsilon, 0);
        }
    }
}

/// <summary>The three averages that batch renormalization keeps beside the moving statistics; immutable.</summary>
/// <remarks>Keras's <c>moving_stddev</c>, <c>renorm_mean</c> and <c>renorm_stddev</c>. Deviations include ε.</remarks>
public sealed class RenormStatistics
{
    readonly double[] movingStandardDeviation, mean, standardDeviation;

    /// <summary>Takes three averages with one finite value per channel; deviations must not be negative.</summary>
    /// <exception cref="ArgumentException">Lengths differ, or a value is out of range.</exception>
    public RenormStatistics(
        ReadOnlySpan<double> movingStandardDeviation, ReadOnlySpan<double> mean, ReadOnlySpan<double> standardDeviation)
        : this((movingStandardDeviation.ToArray(), mean.ToArray(), standardDeviation.ToArray()))
    {
        StateCheck.NotNegative(movingStandardDeviation, mean.Length, nameof(movingStandardDeviation));
        StateCheck.Finite(mean, mean.Length, nameof(mean));
        StateCheck.NotNegative(standardDeviation, mean.Length, nameof(standardDeviation));
    }

    RenormStatistics((double[] MovingStandardDeviation, double[] Mean, double[] StandardDeviation) averages) =>
        (movingStandardDeviation, mean, standardDeviation) = averages;

    /// <summary>Takes the arrays without a copy or a check.</summary>
    internal static RenormStatistics Of(double[] movingStandardDeviation, double[] mean, double[] standardDeviation) =>
        new((movingStandardDeviation, mean, standardDeviation));

    /// <summary>The moving average of √(σ² + ε). The moving variance is its square minus ε.</summary>
    public ReadOnlySpan<double> MovingStandardDeviation => movingStandardDeviation;

    /// <summary><see cref="MovingStandardDeviation"/> as an array, which is not a copy.</summary>
    public ImmutableArray<double> MovingStandardDeviationArray =>
        ImmutableCollectionsMarshal.AsImmutableArray(movingStandardDeviation);

    /// <summary>The renormalization average of the batch mean.</summary>
    public ReadOnlySpan<double> Mean => mean;

    /// <summary><see cref="Mean"/> as an array, which is not a copy.</summary>
    public ImmutableArray<double> MeanArray => ImmutableCollectionsMarshal.AsImmutableArray(mean);

    /// <summary>The renormalization average of √(σ² + ε).</summary>
    public ReadOnlySpan<double> StandardDeviation => standardDeviation;

    /// <summary><see cref="StandardDeviation"/> as an array, which is not a copy.</summary>
    public ImmutableArray<double> StandardDeviationArray =>
        ImmutableCollectionsMarshal.AsImmutableArray(standardDeviation);
}
