namespace Microsoft.ML.BatchNorm;

/// <summary>A statistic and the probability of one as far from 0; NaN and 1 where no test can be made.</summary>
readonly record struct TestResult(double Statistic, double PValue)
{
    public static TestResult None { get; } = new(double.NaN, 1);

    public bool IsMade => !double.IsNaN(Statistic);

    public static TestResult Student(double t, double degrees) => new(t, StudentT.TwoSided(t, degrees));
}
