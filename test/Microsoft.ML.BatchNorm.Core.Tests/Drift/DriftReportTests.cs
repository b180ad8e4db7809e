using System.Globalization;

namespace Microsoft.ML.BatchNorm.Tests.Drift;

[TestClass]
public sealed class DriftReportTests
{
    [TestMethod]
    public void The_measures_are_those_of_their_formulas()
    {
        ChannelDrift channel = Compare([1, 2, 3, 4, 5], [4, 6, 8]).Channels[0];
        Assert.AreEqual((5, 3, 2.5), (channel.TrainingCount, channel.TrainingMean, channel.TrainingVariance));
        Assert.AreEqual((3, 6, 4), (channel.Count, channel.Mean, channel.Variance));
        Assert.AreEqual(3 / Math.Sqrt(2.5), channel.MeanShift, 1e-15);
        Assert.AreEqual(1.6, channel.VarianceRatio, 1e-15);
        Assert.AreEqual((1.6 + 1 / 1.6 - 2 + 9 * (1 / 2.5 + 1 / 4.0)) / 2, channel.Divergence, 1e-14);
    }

    /// <summary>Welch: t = 3/√(2.5/5 + 4/3), ν = 3.5338; pooled: t = 3/√(3 (1/5 + 1/3)), ν = 6.</summary>
    [TestMethod]
    public void The_test_of_the_means_is_the_more_careful_of_Welch_s_and_Student_s()
    {
        ChannelDrift channel = Compare([1, 2, 3, 4, 5], [4, 6, 8]).Channels[0];
        double degrees = Math.Pow(0.5 + 4 / 3.0, 2) / (0.25 / 4 + 16 / 9.0 / 2);
        Assert.AreEqual(3 / Math.Sqrt(0.5 + 4 / 3.0), channel.Statistic, 1e-14);
        Assert.AreEqual(StudentT.TwoSided(channel.Statistic, degrees), channel.PValue, 1e-15);

        // No variance among the new values, and Welch's error is that of the training side alone.
        channel = Compare([1, 2, 3, 4, 5], [5, 5]).Channels[0];
        Assert.AreEqual(2 / Math.Sqrt(10 / 5.0 * (1 / 5.0 + 1 / 2.0)), channel.Statistic, 1e-14);
        Assert.AreEqual(StudentT.TwoSided(channel.Statistic, 5), channel.PValue, 1e-15);
    }

    [TestMethod]
    public void Holm_s_correction_counts_the_tests_that_were_made()
    {
        double[] p = [0.01, 0.04, 0.03, 1, 0.2];
        HolmCorrection.Apply(p, [true, true, true, false, true]);
        double[] expected = [0.04, 0.09, 0.09, 1, 0.2];
        for (int i = 0; i < p.Length; i++)
            Assert.AreEqual(expected[i], p[i], 1e-15);
    }

    [TestMethod]
    public void A_state_without_counts_is_taken_as_exact_and_the_table_says_so()
    {
        var state = new BatchNormalizationState((double[])[3], (double[])[4]);
        DriftReport report = DriftReport.Compare(state, Statistics([4, 6, 8]));
        Assert.IsFalse(report.HasTrainingCounts);
        ChannelDrift channel = report.Channels[0];
        Assert.AreEqual(double.PositiveInfinity, channel.TrainingCount);
        Assert.AreEqual(3 / Math.Sqrt(4 / 3.0), channel.Statistic, 1e-14);
        Assert.AreEqual(StudentT.TwoSided(channel.Statistic, 2), channel.PValue, 1e-15);
        StringAssert.Contains(report.ToString(), "taken as exact");
    }

    [TestMethod]
    public void Constants_that_agree_are_no_drift_and_constants_that_differ_are_the_worst()
    {
        DriftReport same = Compare([7, 7, 7], [7, 7]);
        Assert.AreEqual(
            (0, 1, 0, 1, false),
            (same.Channels[0].MeanShift, same.Channels[0].VarianceRatio, same.Channels[0].Divergence, same.PValue,
                same.IsDrift()));
        DriftReport other = Compare([7, 7, 7], [6, 6]);
        Assert.AreEqual(double.NegativeInfinity, other.Channels[0].MeanShift);
        Assert.AreEqual(double.NegativeInfinity, other.Channels[0].Statistic);
        Assert.AreEqual(double.PositiveInfinity, other.Channels[0].Divergence);
        Assert.AreEqual(0, other.PValue);
    }

    [TestMethod]
    public void One_row_far_out_has_Chebyshev_s_bound_and_no_smaller_p_value()
    {
        ChannelDrift channel = Compare([.. Enumerable.Range(0, 100).Select(i => i % 10.0)], [1000]).Channels[0];
        Assert.AreEqual(1 / 100.0, channel.PValue, 1e-4);
        Assert.IsTrue(double.IsNaN(channel.Variance) && double.IsNaN(channel.VarianceRatio));
        Assert.IsTrue(double.IsNaN(channel.VarianceStatistic));
        Assert.AreEqual(1, channel.VariancePValue);
    }

    [TestMethod]
    [DataRow(3)]
    [DataRow(1000)]
    public void Squares_whose_own_variance_no_double_holds_are_no_error(int rows)
    {
        double[] x = Sample.Doubles(rows, 1, 0, 1e120);
        DriftReport report = Compare(x, x);
        Assert.AreEqual(
            (0, 1, false), (report.Channels[0].MeanShift, report.Channels[0].VarianceRatio, report.IsDrift()));
    }

    [TestMethod]
    public void No_values_on_a_side_are_no_test_and_come_last()
    {
        var statistics = new BatchStatistics(2);
        statistics.Add(
            ChannelLayout.Features(2, 2), (double[])[double.NaN, 1, double.NaN, 2], nonFinite: NonFinite.Ignore);
        var state = new BatchNormalizationState((double[])[0, 0], (double[])[1, 1]).WithPopulation(Two(5));
        DriftReport report = DriftReport.Compare(state, statistics);
        CollectionAssert.AreEqual((int[])[1, 0], report.Channels.Select(channel => channel.Channel).ToArray());
        ChannelDrift none = report.Channels[1];
        Assert.IsTrue(double.IsNaN(none.Mean) && double.IsNaN(none.Statistic) && double.IsNaN(none.MeanShift));
        Assert.AreEqual(1, none.AdjustedPValue);
        DriftReport empty = DriftReport.Compare(state, new BatchStatistics(2));
        Assert.AreEqual((1, false), (empty.PValue, empty.IsDrift()));

        static BatchStatistics Two(int rows)
        {
            var two = new BatchStatistics(2);
            two.Add(ChannelLayout.Features(rows, 2), Sample.Doubles(2 * rows, 1));
            return two;
        }
    }

    [TestMethod]
    public void A_wider_spread_around_the_same_mean_is_found_by_the_test_of_the_variances()
    {
        double[] training = Sample.Doubles(2000, 1), wide = Sample.Doubles(500, 3, deviation: 1.5);
        ChannelDrift channel = Compare(training, wide).Channels[0];
        Assert.IsTrue(channel.PValue > 0.1, $"{channel}");
        Assert.IsTrue(channel.VarianceStatistic > 4, $"{channel}");
        Assert.IsTrue(channel.AdjustedPValue < 1e-3, $"{channel}");
        // Without the squared deviations, nothing tells how far the variance scatters.
        Assert.IsTrue(DriftReport.Compare(State(training), Statistics(wide)).PValue > 0.1);
    }

    [TestMethod]
    [DataRow(0.5, 500)]
    [DataRow(0.1, 10_000)]
    public void A_narrower_spread_around_the_same_mean_is_found_given_enough_rows(double deviation, int rows)
    {
        double[] training = Sample.Doubles(2000, 1), narrow = Sample.Doubles(rows, 3, deviation: deviation);
        ChannelDrift channel = Compare(training, narrow).Channels[0];
        Assert.IsTrue(channel.VarianceStatistic < -4, $"{channel}");
        Assert.IsTrue(channel.AdjustedPValue < 1e-3, $"{channel}");
    }

    [TestMethod]
    public void A_constant_that_begins_to_vary_around_its_value_is_drift()
    {
        double[] noise = Sample.Doubles(200, 3, mean: 5, deviation: 1e-3);
        ChannelDrift channel = Compare([.. Enumerable.Repeat(5.0, 1000)], noise).Channels[0];
        Assert.AreEqual(double.PositiveInfinity, channel.VarianceRatio);
        Assert.IsTrue(channel.AdjustedPValue < 1e-6);
    }

    [TestMethod]
    public void Values_of_one_row_that_depend_on_each_other_count_as_one()
    {
        // 40 rows of 25 values each, all of a row the same.
        double[] training = Rows(1, 400), fresh = Rows(2, 40);
        var state = new BatchNormalizationState((double[])[0], (double[])[1]).WithPopulation(Of(training));
        Assert.IsTrue(DriftReport.Compare(state, Of(fresh)).IsDrift(), "as if all were independent");
        Assert.IsFalse(DriftReport.Compare(state, Of(fresh), valuesPerRow: 25).IsDrift());

        static double[] Rows(int seed, int rows) =>
            [.. Sample.Doubles(rows, seed, mean: seed * 0.15).SelectMany(value => Enumerable.Repeat(value, 25))];

        static BatchStatistics Of(double[] values)
        {
            var statistics = new BatchStatistics(1);
            statistics.Add(new ChannelLayout([values.Length / 25, 1, 25], axis: 1), values);
            return statistics;
        }
    }

    [TestMethod]
    public void The_table_names_the_worst_channels_first_in_any_culture()
    {
        CultureInfo culture = CultureInfo.CurrentCulture;
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        comma.NumberFormat.NumberDecimalSeparator = ",";
        CultureInfo.CurrentCulture = comma;
        try
        {
            var state = new BatchNormalizationState((double[])[0, 10, 0.5], (double[])[1, 4, 1]);
            var statistics = new BatchStatistics(3);
            statistics.Add(
                ChannelLayout.Features(3, 3), (double[])[0.25, 30, 0.5, 0.5, 31, 1, 0.75, 32, 1.5]);
            DriftReport report = DriftReport.Compare(state, statistics, names: ["width", "height", "depth"]);
            string[] lines = report.ToTable(2).Split('\n');
            StringAssert.StartsWith(lines[0], "1 of 3 channels has drifted (1 % level); the strongest is height: ");
            StringAssert.Matches(
                lines[1], new("^channel +mean +mean before +sd +sd before +shift +ratio +KL +p-value$"));
            StringAssert.Matches(lines[2], new(@"^height +31 +10 +1 +2 +10\.5 +0\.25 +\S+ +\S+$"));
            Assert.AreEqual("and 1 more channel", lines[4]);
            Assert.AreEqual("and 2 more channels", report.ToTable(1).Split('\n')[3]);
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [TestMethod]
    public void The_table_of_nothing_significant_is_short()
    {
        double[] rows = Sample.Doubles(1000, 1);
        var state = new BatchNormalizationState(new double[10], new double[10]);
        var statistics = new BatchStatistics(10);
        statistics.Add(ChannelLayout.Features(100, 10), rows);
        string[] lines = DriftReport.Compare(state.WithPopulation(statistics), statistics).ToString().Split('\n');
        Assert.AreEqual("No channel has drifted (1 % level); the least corrected p-value is 1.000.", lines[0]);
        Assert.AreEqual("and 7 more channels", lines[5]);
        Assert.AreEqual(7, lines.Length);
    }

    /// <summary>With many rows every p-value is 0, and the strength tells.</summary>
    [TestMethod]
    public void What_drifted_is_ordered_by_strength()
    {
        var state = new BatchNormalizationState(new double[3], [1, 1, 1]);
        var now = new BatchStatistics([1e9, 1e9, 1e9], [0.1, 5, -0.5], [1e9, 1e9, 1e9]);
        DriftReport report = DriftReport.Compare(state, now);
        Assert.IsTrue(report.Channels.All(channel => channel.AdjustedPValue < 1e-100));
        CollectionAssert.AreEqual((int[])[1, 2, 0], report.Drifted().Select(channel => channel.Channel).ToArray());
    }

    /// <summary>The reciprocal of a variance overflows, the shift in deviations does not.</summary>
    [TestMethod]
    public void The_divergence_of_tiny_values_is_that_of_the_same_values_on_another_scale()
    {
        double[] training = [-2, -1, 0, 1, 2], now = [-1, 0, 1, 2, 4];
        double expected = Compare(training, now).Channels[0].Divergence;
        double tiny = Compare(Scaled(training), Scaled(now)).Channels[0].Divergence;
        Assert.AreEqual(expected, tiny, 1e-3 * expected);
        // No variance is left of these.
        Assert.AreEqual(double.PositiveInfinity, Compare([0, 0, 0], [1e-200, 1e-200, 1e-200]).Channels[0].Divergence);

        static double[] Scaled(double[] values) => Array.ConvertAll(values, value => value * 1e-160);
    }

    /// <summary>The initial variance of a constant channel, after many steps of a moving average.</summary>
    [TestMethod]
    public void A_shift_whose_square_overflows_is_drift()
    {
        var state = new BatchNormalizationState((double[])[0], (double[])[1e-310]);
        DriftReport report = DriftReport.Compare(state, Statistics([1, 1, 1]));
        Assert.AreEqual((0, true), (report.PValue, report.IsDrift()));
        Assert.IsFalse(report.ToHtml().Contains("\"NaN\"", StringComparison.Ordinal));
    }

    [TestMethod]
    public void Names_do_not_turn_or_break_the_table()
    {
        var statistics = new DriftStatistics(State([1, 2, 3]));
        statistics.Add(ChannelLayout.Features(3, 1), (double[])[101, 102, 103]);
        string table = statistics.Compare(["a\u202Eb\u001Bc\n"]).ToString();
        StringAssert.Contains(table, "\na\\u202Eb\\u001Bc\\u000A ");
        Assert.IsFalse(table.AsSpan().ContainsAny('\u202E', '\u001B'));
    }

    [TestMethod]
    public void Bad_arguments_are_refused()
    {
        BatchNormalizationState state = State([1, 2]);
        Assert.ThrowsExactly<ArgumentException>(() => DriftReport.Compare(state, new BatchStatistics(2)));
        Assert.ThrowsExactly<ArgumentException>(
            () => DriftReport.Compare(state, new BatchStatistics(1), new BatchStatistics(2)));
        Assert.ThrowsExactly<ArgumentException>(
            () => DriftReport.Compare(state, new BatchStatistics(1), names: ["a", "b"]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => DriftReport.Compare(state, new BatchStatistics(1), valuesPerRow: 0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => DriftReport.Compare(state, new BatchStatistics(1)).IsDrift(1.5));
    }

    internal static BatchStatistics Statistics(double[] values)
    {
        var statistics = new BatchStatistics(1);
        statistics.Add(ChannelLayout.Features(values.Length, 1), values);
        return statistics;
    }

    internal static BatchNormalizationState State(double[] training) =>
        new BatchNormalizationState((double[])[0], (double[])[1]).WithPopulation(Statistics(training));

    internal static DriftReport Compare(double[] training, double[] current)
    {
        var statistics = new DriftStatistics(State(training));
        statistics.Add(ChannelLayout.Features(current.Length, 1), current);
        return statistics.Compare();
    }
}
