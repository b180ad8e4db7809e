namespace Microsoft.ML.BatchNorm.Tests.Parity;

/// <summary>
/// Where a reference computed in float32 cannot be right. Keras's NumPy backend forms a variance as E[x²] − E[x]² in
/// float32, so with u = 2⁻²⁴ the variance is uncertain by some u·E[x²]: at mean 1,000 and deviation 1 by a quarter of
/// itself. A case that stands on such a batch is compared with the formulas in double instead, to the tolerance in the
/// file, and the reference itself is held to the bound of its own rounding.
/// </summary>
sealed class LostDigits(LayerCase layer, ParityFile file, BatchNormalizationOptions options, ChannelLayout layout)
{
    /// <summary>
    /// Roundings of size u·E[x²] in the reference's variance: of the squares, of their sum and of the mean's square.
    /// </summary>
    const double Roundings = 8;

    double[] movingMean = layer.Initial.MovingMean ?? new double[layout.Channels];
    double[] movingVariance = layer.Initial.MovingVariance ?? new double[layout.Channels];

    /// <summary>
    /// The largest share of a variance, in any step so far, that float32 leaves open; 0 for a float64 reference.
    /// </summary>
    public double Share { get; private set; }

    public bool Matter(double tolerance) => Share > tolerance;

    /// <summary>Takes the next step in double; gives its output.</summary>
    public double[] Step(CaseStep step, bool[] mask, BatchNormalizationState before)
    {
        double[] x = Array.ConvertAll(step.X, value => (double)value);
        var naive = new Naive(options, layout, mask);
        float[] gamma = before.Gamma.ToArray(), beta = before.Beta.ToArray();
        if (!options.UsesBatchStatistics(step.Training))
            return naive.Normalize(x, movingMean, movingVariance, gamma, beta);

        (_, double[] mean, double[] variance, double[] square) = naive.Statistics(x);
        for (int c = 0; c < mean.Length && file.Oracle.Contains("float32", StringComparison.Ordinal); c++)
            Share = Math.Max(Share, Roundings * Math.Pow(2, -24) * square[c] / (variance[c] + options.Epsilon!.Value));
        movingMean = Moved(movingMean, mean);
        movingVariance = Moved(movingVariance, variance);
        return naive.Normalize(x, mean, variance, gamma, beta);
    }

    public double[] MovingMean => movingMean;

    public double[] MovingVariance => movingVariance;

    double[] Moved(double[] moving, double[] batch) =>
        [.. moving.Zip(batch, (old, value) => Decay * old + (1 - Decay) * value)];

    double Decay => options.Momentum!.Value;
}
