namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Tests whether two means differ by more than their errors, by the more cautious of Welch's and Student's test.
/// </summary>
/// <remarks>
/// Both tests are valid for large samples from one distribution, and so is the greater of their p-values. If the new
/// rows happen to have none of a feature's rare values, they have no variance, and Welch's standard error is far too
/// small. If they happen to have most of them, Student's pooled one is. The greater p-value is right in both cases.
/// </remarks>
static class MeanTest
{
    /// <summary>Whether both sides have values, and one side at least two.</summary>
    public static bool IsPossible(in SampleMoments training, in SampleMoments current) =>
        training.Count + current.Count > 2 && training.Count >= 1 && current.Count >= 1;

    /// <summary>
    /// The square of Student's statistic. The p-value of the test is at least the normal distribution's at its root.
    /// </summary>
    public static double GreatestSquare(in SampleMoments training, in SampleMoments current)
    {
        double difference = current.Mean - training.Mean;
        return difference == 0 ? 0 : difference * difference / PooledSquaredError(training, current);
    }

    /// <param name="training">The training side.</param>
    /// <param name="current">The new side.</param>
    /// <param name="negligible">Statistics below this count as 0 and have the p-value 1.</param>
    public static TestResult Of(in SampleMoments training, in SampleMoments current, double negligible)
    {
        if (!IsPossible(training, current))
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
    /// The bound P(|z| ≥ c) ≤ 1/c² for a single observation, to which no limit theorem applies. z is exact for a draw
    /// from all values of both sides (Saw, Yang, Mo, "Chebyshev Inequality with Estimated Mean and Variance", 1984).
    /// </summary>
    static TestResult Chebyshev(double t, double degrees)
    {
        double square = double.IsInfinity(degrees) ? t * t : (degrees + 1) / (1 + degrees / (t * t));
        return new TestResult(t, Math.Min(1, 1 / square));
    }
}

/// <summary>
/// Tests whether two variances differ by more than their errors, which follow from the kurtosis of the data (Layard,
/// "Robust Large-Sample Tests for Homogeneity of Variances", 1973).
/// </summary>
/// <remarks>
/// To first order, Var(s²) = (κ − 1) σ⁴/n. κ is the kurtosis of the new rows. Few rows underestimate it, so it is at
/// least that of the normal distribution, 3. σ² is the greater of the two variances; this bounds the statistic by what
/// the rows with the greater variance can prove, √k for k rare values. If the training side has the greater variance,
/// its kurtosis is not known, and rare values that the new rows lack may have raised both its variance and its
/// kurtosis: κ is then multiplied by the ratio of the variances, and by 4 at most. If the new rows have no variance,
/// they have no kurtosis, and the test is impossible.
/// </remarks>
static class VarianceTest
{
    const double NormalKurtosis = 3, GreatestFactor = 4;

    /// <summary>The square of the statistic with the normal kurtosis, which is the least that the test uses.</summary>
    public static double GreatestSquare(in SampleMoments training, in SampleMoments current)
    {
        if (!IsPossible(training, current))
            return 0;
        double change = (current.Variance - training.Variance) / Math.Max(training.Variance, current.Variance);
        return change * change / ((NormalKurtosis - 1) * (1 / training.Count + 1 / current.Count));
    }

    /// <param name="training">The training side.</param>
    /// <param name="current">The new side.</param>
    /// <param name="squaresVariance">The variance of the new side's squared deviations.</param>
    /// <param name="negligible">Statistics below this count as 0 and have the p-value 1.</param>
    public static TestResult Of(
        in SampleMoments training, in SampleMoments current, double squaresVariance, double negligible)
    {
        if (!IsPossible(training, current) || double.IsNaN(squaresVariance))
            return TestResult.None;
        double kurtosis = Math.Max(1 + squaresVariance / current.Variance / current.Variance, NormalKurtosis);
        if (training.Variance > current.Variance)
            kurtosis *= Math.Min(training.Variance / current.Variance, GreatestFactor);
        double error = Math.Sqrt((kurtosis - 1) * (1 / training.Count + 1 / current.Count));
        double greater = Math.Max(training.Variance, current.Variance);
        return TestResult.Student(
            (current.Variance - training.Variance) / greater / error, current.Count - 1, negligible);
    }

    static bool IsPossible(in SampleMoments training, in SampleMoments current) =>
        training.Count > 1 && current.Count > 1 && current.Variance > 0;
}

/// <summary>What a test knows about one channel on one side.</summary>
/// <param name="Count">The number of independent observations; infinite if the moments are taken as exact.</param>
/// <param name="Mean">The mean, in the input's unit.</param>
/// <param name="Variance">The sample variance; NaN for a single value.</param>
readonly record struct SampleMoments(double Count, double Mean, double Variance)
{
    /// <summary>The sum of squared deviations, for a pooled variance; 0 for one observation.</summary>
    public double PooledSquares => Count > 1 ? (Count - 1) * Variance : 0;
}

/// <summary>
/// A statistic, and the probability of one at least as far from 0. They are NaN and 1 if the test is impossible.
/// </summary>
readonly record struct TestResult(double Statistic, double PValue)
{
    public static TestResult None { get; } = new(double.NaN, 1);

    public bool IsMade => !double.IsNaN(Statistic);

    /// <param name="t">The statistic.</param>
    /// <param name="degrees">The degrees of freedom.</param>
    /// <param name="negligible">Statistics below this count as 0 and have the p-value 1.</param>
    public static TestResult Student(double t, double degrees, double negligible) =>
        new(t, Math.Abs(t) < negligible ? 1 : StudentT.TwoSided(t, degrees));
}
