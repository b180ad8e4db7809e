namespace Microsoft.ML.BatchNorm.Tests.Drift;

[TestClass]
public sealed class QuickCheckTests
{
    [TestMethod]
    [DataRow(0.1)]
    [DataRow(0.01)]
    [DataRow(1e-3)]
    [DataRow(1e-6)]
    [DataRow(1e-300)]
    public void The_quantile_is_a_little_below_the_normal_one(double p)
    {
        double z = NormalQuantile.Below(p), normal = StudentT.TwoSided(z, double.PositiveInfinity);
        Assert.IsTrue(p <= normal && normal <= 1.1 * p, $"{normal}");
        Assert.IsTrue(p <= StudentT.TwoSided(z, degrees: 3));
    }

    [TestMethod]
    public void It_agrees_with_the_report_whatever_the_counts_shifts_and_distributions()
    {
        var random = new Random(1);
        int drifted = 0, quiet = 0, ruledOut = 0;
        for (int trial = 0; trial < 2000; trial++)
        {
            int channels = random.Next(1, 6), rows = random.Next(1, 40), trainingRows = random.Next(1, 200);
            double shift = random.Next(3) * random.NextDouble(), scale = Math.Pow(2, random.Next(-1, 2));
            bool isSpiky = random.Next(3) == 0, isExact = random.Next(2) == 0;
            BatchNormalizationOptions options = BatchNormalizationOptions.Keras with
            {
                MovingStatistics = isExact ? MovingStatistics.Exponential : MovingStatistics.Population,
            };
            BatchNormalizationState state = BatchNormalization.UpdateMovingStatistics(
                options, BatchNormalization.Initialize(options, channels),
                ChannelLayout.Features(trainingRows, channels), Values(trainingRows * channels, 0, 1));
            double[] values = Values(rows * channels, shift, scale);
            DriftStatistics statistics = new(state), withoutSquares = DriftStatistics.ForQuickCheck(state);
            statistics.Add(ChannelLayout.Features(rows, channels), values);
            withoutSquares.Add(ChannelLayout.Features(rows, channels), values);
            double level = Math.Pow(10, -random.Next(1, 5));
            bool expected = statistics.Compare().IsDrift(level);
            Assert.AreEqual(expected, statistics.MayDrift(level), $"Trial {trial}.");
            Assert.IsTrue(withoutSquares.MayDrift(level) || !expected, $"Trial {trial} without squares.");
            ruledOut += withoutSquares.MayDrift(level) ? 0 : 1;
            _ = expected ? drifted++ : quiet++;

            double[] Values(int count, double mean, double deviation) =>
                [.. Enumerable.Range(0, count).Select(_ => mean + deviation * Value())];

            double Value() => isSpiky && random.Next(10) > 0 ? 0 : random.NextDouble() + random.NextDouble() - 1;
        }
        Assert.IsTrue(
            drifted > 200 && quiet > 200 && ruledOut > quiet / 2,
            $"{drifted} drifted, {quiet} quiet, {ruledOut} ruled out without squares.");
    }
}
