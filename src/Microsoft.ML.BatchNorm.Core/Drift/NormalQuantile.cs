namespace Microsoft.ML.BatchNorm;

/// <summary>A simple bound of the quantiles of the normal distribution.</summary>
static class NormalQuantile
{
    const int Steps = 20;

    /// <summary>
    /// A little below the z with P(|Z| ≥ z) = p, by <c>P(|Z| ≥ z) ≥ √(2/π) · z/(1 + z²) · e^(−z²/2)</c> (Gordon,
    /// "Values of Mills' Ratio of Area to Bounding Ordinate", 1941). No t of Student's below it has a p-value as small.
    /// </summary>
    /// <param name="p">Above 0, and at most 0.1.</param>
    public static double Below(double p)
    {
        double z = Math.Sqrt(-2 * Math.Log(p));
        for (int step = 0; step < Steps; step++)
            z = Math.Sqrt(2 * Math.Log(Math.Sqrt(2 / Math.PI) * z / (1 + z * z) / p));
        return z * (1 - 1e-9);
    }
}
