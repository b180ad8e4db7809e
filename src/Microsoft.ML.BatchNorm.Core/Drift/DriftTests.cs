namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Whether two means differ by more than their errors: the more careful of Welch's and Student's test.
/// </summary>
/// <remarks>
/// Both are valid for large samples of one distribution, and so is the greater of their p-values. Welch's standard
/// error alone is far too small where the new rows happen to have none of a feature's rare values, and so no variance;
/// Student's pooled one where they happen to have most. The greater is right for both.
/// </remarks>
static class MeanTest
{
    /// <summary>Whether both sides have values, and one of them at least two.</summary>
    public static bool CanBeMade(in SampleMoments training, in SampleMoments current) =>
        training.Count + current.Count > 2 && training.Count >= 1 && current.Count >= 1;

    /// <summary>The square of Student's statistic: the p-value is no smaller than the normal one of its root.</summary>
    public static double GreatestSquare(in SampleMoments training, in SampleMoments current)
    {
        double difference = current.Mean - training.Mean;
        return difference == 0 ? 0 : difference * difference / PooledSquaredError(training, current);
    }

    /// <param name="training">The training side.</param>
    /// <param name="current">The new side.</param>
    /// <param name="negligible">A statistic below this is as good as 0, and has p-value 1.</param>
    public static TestResult Of(in SampleMoments training, in SampleMoments current, double negligible)
    {
        if (!CanBeMade(training, current))
            return TestResult.None;
        double difference = current.Mean - training.Mean;
        if (difference == 0)
            return new TestResult(0, 1);
        double degrees = training.Count + current.Count - 2;
        double pooled = difference / Math.Sqrt(PooledSquaredError(training, current));
        if (training.Count <= 1 || current.Count <= 1)
            return Chebyshev(pooled, degrees);
        TestResult student = TestResult.Student(pooled, degrees, negligible);
        if (student.PValue == 1)
            return student;
        TestResult welch = Welch(training, current, difference, negligible);
        return welch.PValue > student.PValue ? welch : student;
    }

    static double PooledSquaredError(in SampleMoments training, in SampleMoments current)
    {
        double variance = double.IsInfinity(training.Count)
            ? training.Variance
            : (training.PooledSquares + current.PooledSquares) / (training.Count + current.Count - 2);
        return variance * (1 / training.Count + 1 / current.Count);
    }

    static TestResult Welch(in SampleMoments training, in SampleMoments current, double difference, double negligible)
    {
        double first = training.Variance / training.Count, second = current.Variance / current.Count;
        double square = first + second;
        if (square == 0)
            return new TestResult(double.CopySign(double.PositiveInfinity, difference), 0);
        double firstShare = first / square, secondShare = second / square;
        double degrees = 1 / (
            firstShare * firstShare / (training.Count - 1) + secondShare * secondShare / (current.Count - 1));
        return TestResult.Student(difference / Math.Sqrt(square), degrees, negligible);
    }

    /// <summary>
    /// The bound for a single observation, to which no limit theorem applies: P(|z| ≥ c) ≤ 1/c², with the exact z of a
    /// draw from all values of both sides (Saw, Yang, Mo, "Chebyshev Inequality with Estimated Mean and Variance",
    /// 1984).
    /// </summary>
    static TestResult Chebyshev(double t, double degrees)
    {
        double square = double.IsInfinity(degrees) ? t * t : (degrees + 1) / (1 + degrees / (t * t));
        return new TestResult(t, Math.Min(1, 1 / square));
    }
}
