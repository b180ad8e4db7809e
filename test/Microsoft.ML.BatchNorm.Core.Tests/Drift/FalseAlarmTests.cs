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

    /// <summary>With histograms there are up to four tests, of discrete data too, whose level is the same.</summary>
    [TestMethod]
    [DataRow("normal", 1000, 1000)]
    [DataRow("normal", 1000, 20)]
    [DataRow("normal", 20, 1000)]
    [DataRow("normal", 5, 5)]
    [DataRow("rare", 1000, 250)]
    [DataRow("rare", 250, 1000)]
    [DataRow("half zeros", 1000, 250)]
    [DataRow("heavy tails", 1000, 250)]
    [DataRow("binary", 1000, 20)]
    [DataRow("uniform", 500, 100)]
    [DataRow("pixels", 1000, 250)]
    [DataRow("pixels", 100, 10)]
    [DataRow("three values", 300, 300)]
    [DataRow("constant", 300, 300)]
    [DataRow("some missing", 1000, 250)]
    [DataRow("some missing", 100, 10)]
    [DataRow("rarely missing", 1000, 1000)]
    [DataRow("rarely missing", 1000, 30)]
    public void With_histograms_too(string distribution, int trainingRows, int rows)
    {
        var random = new Random(2);
        int alarms = 0, onShape = 0, onMissing = 0;
        for (int i = 0; i < Reports; i++)
        {
            ChannelDrift channel = HistogramDriftTests.Compare(Draw(trainingRows), Draw(rows)).Channels[0];
            alarms += channel.AdjustedPValue <= 0.01 ? 1 : 0;
            onShape += channel.ShapePValue <= 0.01 ? 1 : 0;
            onMissing += channel.MissingPValue <= 0.01 ? 1 : 0;
        }
        Assert.IsTrue(alarms <= Most, $"{alarms} alarms in {Reports} reports");
        Assert.IsTrue(onShape <= Most && onMissing <= Most, $"{onShape}, {onMissing} of {Reports} single tests");

        double[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => Value(random, distribution))];
    }

    /// <summary>Single tests are far out in their tails there.</summary>
    [TestMethod]
    public void A_report_of_many_discrete_channels_has_the_level_as_a_whole()
    {
        const int Channels = 40, Few = 500;
        var random = new Random(3);
        int alarms = 0;
        for (int i = 0; i < Few; i++)
            alarms += HistogramDriftTests.Compare(Draw(300), Draw(60), Channels).IsDrift(0.05) ? 1 : 0;
        Assert.IsTrue(alarms <= Few * 7 / 100, $"{alarms} alarms in {Few} reports");

        double[] Draw(int rows) =>
        [
            .. Enumerable.Range(0, rows * Channels)
                .Select(i => Value(random, i % 2 == 0 ? "pixels" : "rarely missing")),
        ];
    }

    static double Value(Random random, string distribution) => distribution switch
    {
        "normal" => Normal(random),
        "rare" => random.NextDouble() < 0.01 ? 1 + random.Next(16) : 0,
        "half zeros" => random.NextDouble() < 0.5 ? 16 * random.NextDouble() : 0,
        "heavy tails" => Math.Exp(1.5 * Normal(random)),
        "binary" => random.Next(2),
        "pixels" => Math.Clamp(Math.Round(6 + 8 * Normal(random)), 0, 16),
        "three values" => random.Next(10) switch { 0 => -1, < 5 => 0.1, _ => 3 },
        "constant" => 0.1,
        "some missing" => random.NextDouble() < 0.1 ? double.NaN : Normal(random),
        "rarely missing" => random.NextDouble() < 0.005 ? double.NaN : random.Next(3),
        _ => random.NextDouble(),
    };

    internal static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
