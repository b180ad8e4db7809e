namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Whether two variances differ by more than their errors, with the errors that the kurtosis of the data gives them
/// (Layard, "Robust Large-Sample Tests for Homogeneity of Variances", 1973).
/// </summary>
/// <remarks>
/// Var(s²) = (κ − 1) σ⁴/n to first order, with the kurtosis κ of the new rows, and at least the normal one, 3, which
/// few rows underestimate. σ² is the greater of the two variances: the statistic is then bounded by what the rows that
/// carry the greater variance can prove, √k for k rare values. Where that is the training side, whose kurtosis is not
/// known, κ is taken times the ratio, up to four times: rare values that the new rows lack may have made the variance
/// greater, and κ too. New rows of no variance have no kurtosis, and no test.
/// </remarks>
static class VarianceTest
{
    const double NormalKurtosis = 3, MostHidden = 4;

    /// <summary>
    /// The square that the statistic would have with the normal kurtosis, the least that is reckoned with.
    /// </summary>
    public static double GreatestSquare(in SampleMoments training, in SampleMoments current)
    {
        if (!(training.Count > 1 && current.Count > 1 && current.Variance > 0))
            return 0;
        double change = (current.Variance - training.Variance) / Math.Max(training.Variance, current.Variance);
        return change * change / ((NormalKurtosis - 1) * (1 / training.Count + 1 / current.Count));
    }

    /// <param name="training">The training side.</param>
    /// <param name="current">The new side.</param>
    /// <param name="squaresVariance">The variance of the new side's squared deviations.</param>
    /// <param name="negligible">A statistic below this is as good as 0, and has p-value 1.</param>
    public static TestResult Of(
        in SampleMoments training, in SampleMoments current, double squaresVariance, double negligible)
    {
        if (!(training.Count > 1 && current.Count > 1 && current.Variance > 0) || double.IsNaN(squaresVariance))
            return TestResult.None;
        double kurtosis = Math.Max(1 + squaresVariance / current.Variance / current.Variance, NormalKurtosis);
        if (training.Variance > current.Variance)
            kurtosis *= Math.Min(training.Variance / current.Variance, MostHidden);
        double error = Math.Sqrt((kurtosis - 1) * (1 / training.Count + 1 / current.Count));
        double greater = Math.Max(training.Variance, current.Variance);
        return TestResult.Student(
            (current.Variance - training.Variance) / greater / error, current.Count - 1, negligible);
    }
}
