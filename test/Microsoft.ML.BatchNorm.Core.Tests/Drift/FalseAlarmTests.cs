namespace Microsoft.ML.BatchNorm.Tests.Drift;

/// <summary>
/// How often one distribution on both sides is flagged, by simulation with fixed seeds. The level is 1 % a report of
/// one channel with two tests; 0.5 % more is left to chance and to what is asymptotic.
/// </summary>
[TestClass]
public sealed class FalseAlarmTests
{
    const int Reports = 2000, Most = Reports * 15 / 1000;

    [TestMethod]
    [DataRow("normal", 1000, 1000)]
    [DataRow("normal", 1000, 20)]
    [DataRow("normal", 1000, 1)]
    [DataRow("normal", 20, 1000)]
    [DataRow("normal", 10, 2)]
    [DataRow("rare", 1000, 250)]
    [DataRow("rare", 250, 1000)]
    [DataRow("rare", 1000, 10)]
    [DataRow("rare", 1000, 1)]
    [DataRow("half zeros", 1000, 250)]
    [DataRow("half zeros", 1000, 5)]
    [DataRow("heavy tails", 1000, 250)]
    [DataRow("heavy tails", 250, 1000)]
    [DataRow("binary", 1000, 250)]
    [DataRow("binary", 1000, 20)]
    [DataRow("uniform", 500, 100)]
    public void One_distribution_on_both_sides_is_flagged_at_the_level_at_most(
        string distribution, int trainingRows, int rows)
    {
        var random = new Random(1);
        int alarms = 0;
        for (int i = 0; i < Reports; i++)
        {
            if (DriftReportTests.Compare(Draw(trainingRows), Draw(rows)).IsDrift(0.01))
                alarms++;
        }
        Assert.IsTrue(alarms <= Most, $"{alarms} alarms in {Reports} reports");

        double[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => Value(random, distribution))];
    }

    static double Value(Random random, string distribution) => distribution switch
    {
        "normal" => Normal(random),
        "rare" => random.NextDouble() < 0.01 ? 1 + random.Next(16) : 0,
        "half zeros" => random.NextDouble() < 0.5 ? 16 * random.NextDouble() : 0,
        "heavy tails" => Math.Exp(1.5 * Normal(random)),
        "binary" => random.Next(2),
        _ => random.NextDouble(),
    };

    static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
