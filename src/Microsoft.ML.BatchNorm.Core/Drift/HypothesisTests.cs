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

/// <summary>
/// Tests whether two histograms of one grid differ by more than their errors, by the greatest distance between their
/// cumulative shares (Kolmogorov, Smirnov).
/// </summary>
/// <remarks>
/// The p-value is the bound e·exp(−2λ²) with λ² = D² n n′/(n + n′), the inequality of Dvoretzky, Kiefer and Wolfowitz
/// for two samples (Wei and Dudley, "Two-sample Dvoretzky–Kiefer–Wolfowitz inequalities", 2012). It holds for any
/// distribution, for samples of any size and at any level; what is discrete or lies in bins only makes it more
/// cautious. The zeros have a place of their own before the bin that 0 lies in: the bound holds for any order.
/// </remarks>
static class ShapeTest
{
    /// <param name="training">The training side's histograms.</param>
    /// <param name="current">The new side's.</param>
    /// <param name="channel">The channel.</param>
    /// <param name="valuesPerRow">How many values count as one.</param>
    public static TestResult Of(
        ChannelHistograms training, ChannelHistograms current, int channel, double valuesPerRow)
    {
        double first = training.FiniteCount(channel), second = current.FiniteCount(channel);
        if (first == 0 || second == 0)
            return TestResult.None;
        ReadOnlySpan<double> before = training.CountsOf(channel), now = current.CountsOf(channel);
        int zero = training.BinOf(channel, 0);
        double sumBefore = 0, sumNow = 0, distance = 0;
        for (int bin = 0; bin < ChannelHistograms.Zero; bin++)
        {
            if (bin == zero)
                Take(before[ChannelHistograms.Zero], now[ChannelHistograms.Zero], ref distance);
            Take(before[bin], now[bin], ref distance);
        }
        double square = distance * distance * first / (first + second) * second / valuesPerRow;
        return new TestResult(distance, Math.Min(1, Math.Exp(1 - 2 * square)));

        void Take(double more, double moreNow, ref double greatest)
        {
            sumBefore += more;
            sumNow += moreNow;
            greatest = Math.Max(greatest, Math.Abs(sumBefore / first - sumNow / second));
        }
    }
}

/// <summary>
/// Tests whether two shares of missing values differ by more than their errors, exactly: given how many are missing in
/// all, their number on one side is hypergeometric (Fisher). The p-value is twice that of the smaller tail.
/// </summary>
static class MissingTest
{
    /// <summary>From here on, Stirling's series of ln n! has full precision.</summary>
    const double LargeFactorial = 32;

    /// <summary>Beyond this share of the sum, a tail is of no use, and terms no longer count.</summary>
    const double GreatTail = 0.5, SmallTerm = 1e-17;

    /// <param name="before">The number of missing values in training.</param>
    /// <param name="all">The number of values there, missing ones included.</param>
    /// <param name="now">The number of missing values in the new data.</param>
    /// <param name="allNow">The number of values there.</param>
    /// <param name="valuesPerRow">How many values count as one.</param>
    public static TestResult Of(double before, double all, double now, double allNow, double valuesPerRow)
    {
        if (all == 0 || allNow == 0 || before + now == 0)
            return TestResult.None;
        double change = now / allNow - before / all;
        // Whole rows, rounded so that the two shares come closer.
        (all, allNow) = (Math.Floor(all / valuesPerRow), Math.Floor(allNow / valuesPerRow));
        before = Math.Min(all, change > 0 ? Math.Ceiling(before / valuesPerRow) : Math.Floor(before / valuesPerRow));
        now = Math.Min(allNow, change > 0 ? Math.Floor(now / valuesPerRow) : Math.Ceiling(now / valuesPerRow));
        double p = change > 0 ? UpperTail(now, allNow, before, all) : UpperTail(before, all, now, allNow);
        return new TestResult(change, Math.Min(1, 2 * p));
    }

    /// <summary>P(K ≥ k), where k of n and l of m were drawn.</summary>
    static double UpperTail(double k, double n, double l, double m)
    {
        double drawn = k + l, most = Math.Min(n, drawn);
        double term = Math.Exp(LogChoose(n, k) + LogChoose(m, l) - LogChoose(n + m, drawn)), sum = term;
        for (; k < most && sum < GreatTail && term > SmallTerm * sum; k++)
        {
            term *= (n - k) / (k + 1) * ((drawn - k) / (m - drawn + k + 1));
            sum += term;
        }
        return sum;
    }

    static double LogChoose(double n, double k) => LogFactorial(n) - LogFactorial(k) - LogFactorial(n - k);

    static double LogFactorial(double n)
    {
        if (n >= LargeFactorial)
            return (n + 0.5) * Math.Log(n) - n + Math.Log(2 * Math.PI) / 2
                + (1.0 / 12 - (1.0 / 360 - 1 / (1260 * n * n)) / (n * n)) / n;
        double product = 1;
        for (; n > 1; n--)
            product *= n;
        return Math.Log(product);
    }
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
