namespace Microsoft.ML.BatchNorm;

/// <summary>A statistic and the probability of one as far from 0; NaN and 1 where no test can be made.</summary>
readonly record struct TestResult(double Statistic, double PValue)
{
    public static TestResult None { get; } = new(double.NaN, 1);

    public bool IsMade => !double.IsNaN(Statistic);

    /// <param name="t">The statistic.</param>
    /// <param name="degrees">The degrees of freedom.</param>
    /// <param name="negligible">A statistic below this is as good as 0, and has p-value 1.</param>
    public static TestResult Student(double t, double degrees, double negligible) =>
        new(t, Math.Abs(t) < negligible ? 1 : StudentT.TwoSided(t, degrees));
}
