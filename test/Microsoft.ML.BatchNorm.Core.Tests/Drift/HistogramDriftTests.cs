namespace Microsoft.ML.BatchNorm.Tests.Drift;

/// <summary>What a comparison finds because the state keeps histograms.</summary>
[TestClass]
public sealed class HistogramDriftTests
{
    [TestMethod]
    public void A_shape_with_the_same_mean_and_variance_is_found_and_only_with_histograms()
    {
        double[] normal = Draw(1, 2000, random => FalseAlarmTests.Normal(random));
        // Two normals at ±0.9 with a variance of 1 - 0.81 each.
        double[] mixture = Draw(
            2, 2000, random => 0.9 * (2 * random.Next(2) - 1) + Math.Sqrt(0.19) * FalseAlarmTests.Normal(random));
        DriftReport report = Compare(normal, mixture);
        ChannelDrift channel = report.Channels[0];
        Assert.IsTrue(channel.PValue > 0.05 && channel.VariancePValue > 0.05, $"{channel}");
        Assert.IsTrue(channel.ShapePValue < 1e-6 && report.IsDrift(1e-4), $"{channel}");
        Assert.IsTrue(channel.ShapeStatistic is > 0.08 and < 0.2);
        StringAssert.Contains(report.ToString(), "another shape");
        DriftReport without = DriftReportTests.Compare(normal, mixture);
        Assert.IsFalse(without.IsDrift(0.05) || without.HasHistograms);
        Assert.IsTrue(double.IsNaN(without.Channels[0].ShapeStatistic));
        Assert.AreEqual(1, without.Channels[0].ShapePValue);
    }

    /// <summary>D² n n′/(n + n′) = 0.5² · 4 · 4/8 = 0.5.</summary>
    [TestMethod]
    public void The_distance_is_Kolmogorov_s_and_its_p_value_the_bound_of_Wei_and_Dudley()
    {
        ChannelDrift channel = Compare([-3, -1, 1, 3], [-3, -3, -3, 1]).Channels[0];
        Assert.AreEqual(0.5, channel.ShapeStatistic, 1e-15);
        Assert.AreEqual(1, channel.ShapePValue);
        double[] far = [.. Enumerable.Repeat(-3.0, 40), .. Enumerable.Repeat(3.0, 20)];
        channel = Compare([.. Enumerable.Repeat((double[])[-3, -1, 1, 3], 15).SelectMany(x => x)], far).Channels[0];
        Assert.AreEqual(40 / 60.0 - 0.25, channel.ShapeStatistic, 1e-15);
        double square = Math.Pow(40 / 60.0 - 0.25, 2) * 30;
        Assert.AreEqual(Math.Exp(1 - 2 * square), channel.ShapePValue, 1e-12);
    }

    [TestMethod]
    public void Zeros_that_become_small_values_of_the_same_bin_are_found()
    {
        double[] sparse = Draw(1, 1000, random => random.Next(4) == 0 ? random.Next(1, 16) : 0);
        double[] filled = Array.ConvertAll(sparse, value => value == 0 ? 1e-3 : value);
        ChannelDrift channel = Compare(sparse, filled).Channels[0];
        Assert.AreEqual(0.75, channel.ShapeStatistic, 0.05);
        Assert.IsTrue(channel.PValue > 0.9 && channel.AdjustedPValue < 1e-10, $"{channel}");
    }

    /// <summary>The p-value is twice the hypergeometric tail.</summary>
    [TestMethod]
    public void Missing_values_are_compared_by_Fisher_s_exact_test()
    {
        double[] before = [.. Enumerable.Repeat(double.NaN, 2), .. Enumerable.Range(0, 38).Select(i => i + 0.0)];
        double[] now = [.. Enumerable.Repeat(double.NaN, 9), .. Enumerable.Range(10, 11).Select(i => i + 0.0)];
        ChannelDrift channel = Compare(before, now).Channels[0];
        Assert.AreEqual((2 / 40.0, 9 / 20.0), (channel.TrainingMissing, channel.Missing));
        double tail = 0;
        for (int k = 9; k <= 11; k++)
            tail += Choose(20, k) * Choose(40, 11 - k) / Choose(60, 11);
        Assert.AreEqual(2 * tail, channel.MissingPValue, 1e-12);
        Assert.AreEqual(1, Compare(before, before).Channels[0].MissingPValue);
        StringAssert.Contains(Compare(before, [.. now, .. now, .. now]).ToString(), "missing before");
        Assert.IsFalse(Compare([1, 2, 3], [1, 2, 3]).ToString().Contains("missing", StringComparison.Ordinal));

        static double Choose(int n, int k) =>
            Enumerable.Range(0, k).Aggregate(1.0, (product, i) => product * (n - i) / (i + 1));
    }

    [TestMethod]
    public void Missing_values_of_large_counts_have_the_normal_p_value()
    {
        // 50,000 of a million against 50,600 of a million: z = 600/√(2 · 1e6 · 0.0503 · 0.9497).
        TestResult result = MissingTest.Of(50_000, 1e6, 50_600, 1e6, 1);
        double z = 600 / Math.Sqrt(2e6 * 0.0503 * 0.9497);
        Assert.AreEqual(1, result.PValue / StudentT.TwoSided(z, double.PositiveInfinity), 0.02);
        Assert.AreEqual(result.PValue, MissingTest.Of(50_600, 1e6, 50_000, 1e6, 1).PValue, 1e-12);
        Assert.IsTrue(MissingTest.Of(0, 1e9, 1e8, 1e9, 1).PValue < 1e-300);
    }

    [TestMethod]
    public void Without_histograms_the_share_that_is_missing_now_is_known_and_that_in_training_is_not()
    {
        var statistics = new DriftStatistics(DriftReportTests.State([1, 2, 3, 4]));
        statistics.Add(ChannelLayout.Features(4, 1), (double[])[1, double.NaN, 2, 3], NonFinite.Ignore);
        ChannelDrift channel = statistics.Compare().Channels[0];
        Assert.AreEqual(0.25, channel.Missing);
        Assert.IsTrue(double.IsNaN(channel.TrainingMissing));
        Assert.AreEqual(1, channel.MissingPValue);
    }

    [TestMethod]
    public void Values_of_one_row_count_as_one_for_shapes_and_missing_values_too()
    {
        double[] first = Draw(1, 60, random => FalseAlarmTests.Normal(random)), second = Draw(2, 60, Normal);
        var layout = new ChannelLayout([60, 1, 25], 1);
        var state = State(first.SelectMany(value => Enumerable.Repeat(value, 25)), layout);
        var statistics = new DriftStatistics(state);
        statistics.Add(layout, [.. second.SelectMany(value => Enumerable.Repeat(value, 25))], NonFinite.Ignore);
        ChannelDrift channel = statistics.Compare().Channels[0];
        Assert.AreEqual(
            Math.Min(1, Math.Exp(1 - 2 * Math.Pow(channel.ShapeStatistic, 2) * 30)), channel.ShapePValue, 1e-12);
        // 10 of 60 rows are missing as a whole, and none was.
        statistics = new DriftStatistics(state);
        statistics.Add(
            layout, [.. second.SelectMany((value, i) => Enumerable.Repeat(i < 10 ? double.NaN : value, 25))],
            NonFinite.Ignore);
        channel = statistics.Compare().Channels[0];
        Assert.AreEqual(MissingTest.Of(0, 60, 10, 60, 1).PValue, channel.MissingPValue, 1e-12);

        static double Normal(Random random) => FalseAlarmTests.Normal(random);
    }

    [TestMethod]
    public void Statistics_merge_their_histograms_and_other_grids_are_refused()
    {
        double[] training = Draw(1, 500, FalseAlarmTests.Normal), now = Draw(2, 300, FalseAlarmTests.Normal);
        BatchNormalizationState state = State(training, ChannelLayout.Features(500, 1));
        DriftStatistics whole = new(state), first = new(state), second = new(state);
        whole.Add(ChannelLayout.Features(300, 1), now);
        first.Add(ChannelLayout.Features(100, 1), now.AsSpan(0, 100));
        second.Add(ChannelLayout.Features(200, 1), now.AsSpan(100));
        second.Merge(first);
        Assert.AreEqual(
            whole.Compare().Channels[0].ShapeStatistic, second.Compare().Channels[0].ShapeStatistic);
        var without = new DriftStatistics(DriftReportTests.State(training));
        Assert.ThrowsExactly<ArgumentException>(() => whole.Merge(without));
        Assert.ThrowsExactly<ArgumentException>(() => DriftReport.Compare(
            state, new BatchStatistics(1), histograms: new ChannelHistograms([0.0], [1.0])));
    }

    [TestMethod]
    public void Histograms_of_other_values_than_the_statistics_are_refused()
    {
        double[] training = Draw(1, 500, FalseAlarmTests.Normal), now = Draw(2, 300, FalseAlarmTests.Normal);
        BatchNormalizationState state = State(training, ChannelLayout.Features(500, 1));
        ChannelHistograms some = state.GetHistograms()!.NewEmpty();
        some.Add(ChannelLayout.Features(100, 1), now.AsSpan(0, 100));
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => DriftReport.Compare(state, DriftReportTests.Statistics(now), histograms: some));
        StringAssert.Contains(error.Message, "channel 0 count 100 values, the statistics 300");
        some.Add(ChannelLayout.Features(200, 1), now.AsSpan(100));
        Assert.AreEqual(
            0, DriftReport.Compare(state, DriftReportTests.Statistics(now), histograms: some).Channels[0].Missing);
    }

    [TestMethod]
    public void Channels_that_were_read_from_different_rows_have_their_own_shares_of_missing_values()
    {
        var layout = ChannelLayout.Features(100, 2);
        BatchNormalizationState state = State(Draw(1, 200, FalseAlarmTests.Normal), layout);
        ChannelHistograms counted = state.GetHistograms()!.NewEmpty();
        counted.Add(layout, Draw(2, 200, FalseAlarmTests.Normal));
        double[] counts = counted.Counts.ToArray();
        counts[^1] = 25;
        DriftReport report = DriftReport.Compare(
            state, new BatchStatistics([100.0, 100], [0, 0], [100, 100]),
            histograms: new ChannelHistograms(counted.Mean, counted.Deviation, counts));
        CollectionAssert.AreEqual(
            (double[])[0, 0.2], report.Channels.OrderBy(channel => channel.Channel).Select(c => c.Missing).ToArray());
    }

    internal static DriftReport Compare(double[] training, double[] current, int channels = 1)
    {
        var statistics =
            new DriftStatistics(State(training, ChannelLayout.Features(training.Length / channels, channels)));
        statistics.Add(ChannelLayout.Features(current.Length / channels, channels), current, NonFinite.Ignore);
        return statistics.Compare();
    }

    internal static BatchNormalizationState State(IEnumerable<double> training, ChannelLayout layout)
    {
        double[] values = [.. training];
        var statistics = new BatchStatistics(layout.Channels);
        statistics.Add(layout, values, nonFinite: NonFinite.Ignore);
        var histograms = new ChannelHistograms(statistics);
        histograms.Add(layout, values);
        return new BatchNormalizationState(new double[layout.Channels], new double[layout.Channels])
            .WithPopulation(statistics).WithHistograms(histograms);
    }

    static double[] Draw(int seed, int count, Func<Random, double> value)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => value(random))];
    }
}
