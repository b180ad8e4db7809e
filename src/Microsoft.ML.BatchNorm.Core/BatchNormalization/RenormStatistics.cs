namespace Microsoft.ML.BatchNorm;

/// <summary>The three averages that batch renormalization keeps beside the moving statistics; immutable.</summary>
/// <remarks>Keras's <c>moving_stddev</c>, <c>renorm_mean</c> and <c>renorm_stddev</c>. Deviations include ε.</remarks>
public sealed class RenormStatistics
{
    readonly double[] movingStandardDeviation, mean, standardDeviation;

    /// <summary>Three averages of one value a channel, finite, deviations not negative.</summary>
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

    /// <summary>Takes the arrays as they are, unchecked.</summary>
    internal static RenormStatistics Of(double[] movingStandardDeviation, double[] mean, double[] standardDeviation) =>
        new((movingStandardDeviation, mean, standardDeviation));

    /// <summary>The moving average of √(σ² + ε), of which the moving variance is the square less ε.</summary>
    public ReadOnlySpan<double> MovingStandardDeviation => movingStandardDeviation;

    /// <summary>The renormalization average of the batch mean.</summary>
    public ReadOnlySpan<double> Mean => mean;

    /// <summary>The renormalization average of √(σ² + ε).</summary>
    public ReadOnlySpan<double> StandardDeviation => standardDeviation;
}
