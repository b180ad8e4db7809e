using System.Xml.Linq;

namespace Microsoft.ML.BatchNorm.Tests.Reports;

[TestClass]
public class ChartTests
{
    [TestMethod]
    [DataRow(new[] { 0.0, 1.0 }, "0 0.2 0.4 0.6 0.8 1.0")]
    [DataRow(new[] { 0.13, 0.97 }, "0 0.2 0.4 0.6 0.8 1.0")]
    [DataRow(new[] { -3.0, 12.0 }, "-5 0 5 10 15")]
    [DataRow(new[] { 2.0, 2.0 }, "0 1 2 3 4")]
    [DataRow(new[] { 0.0, 0.0 }, "0 0.2 0.4 0.6 0.8 1.0")]
    [DataRow(new[] { 0.0, 3e-6 }, "0 1e-6 2e-6 3e-6")]
    [DataRow(new[] { 0.0, 4e7 }, "0 1e7 2e7 3e7 4e7")]
    [DataRow(new[] { 0.0, 1e5 }, "0 2e4 4e4 6e4 8e4 1e5")]
    [DataRow(new[] { 0.97121, 0.97129 }, "0.97120 0.97122 0.97124 0.97126 0.97128 0.97130")]
    [DataRow(new[] { 3.2841e39, 3.2849e39 }, "3.284e39 3.2842e39 3.2844e39 3.2846e39 3.2848e39 3.285e39")]
    [DataRow(new[] { 2.0, 2.0000004 }, "0 1 2 3 4 5")]
    [DataRow(new[] { -5e-324, 5e-324 }, "0 0.2 0.4 0.6 0.8 1.0")]
    [DataRow(new[] { -1e308, 1e308 }, "-1e300 -5e299 0 5e299 1e300")]
    public void A_linear_axis_goes_from_one_round_number_to_another(double[] values, string ticks)
    {
        ChartAxis axis = ChartAxis.Of(values, 5);
        Assert.AreEqual(ticks, string.Join(' ', axis.Ticks.Select(tick => tick.Text)));
        Assert.IsTrue(values.All(value => axis.Share(Math.Clamp(value, -1e300, 1e300)) is > -1e-12 and <= 1));
        Assert.AreEqual((0.0, 1.0), (axis.Share(axis.Low), axis.Share(axis.High)));
    }

    [TestMethod]
    [DataRow(new[] { 0.002, 3.0 }, "0.001 0.01 0.1 1 10")]
    [DataRow(new[] { 1e-12, 1.0 }, "1e-12 1e-9 1e-6 0.001 1")]
    [DataRow(new[] { 1.0, 10.0 }, "0 2 4 6 8 10")]
    [DataRow(new[] { 0.0, 100.0 }, "0 20 40 60 80 100")]
    [DataRow(new[] { 5e-324, 1.0 }, "0 0.2 0.4 0.6 0.8 1.0")]
    public void Values_far_apart_have_a_logarithmic_axis_where_all_are_positive(double[] values, string ticks)
    {
        ChartAxis axis = ChartAxis.LogarithmicOf(values, 5);
        Assert.AreEqual(ticks, string.Join(' ', axis.Ticks.Select(tick => tick.Text)));
        Assert.IsTrue(values.All(value => axis.Share(value) is >= 0 and <= 1));
    }

    [TestMethod]
    [DataRow(1, "1")]
    [DataRow(8, "1 2 3 4 5 6 7 8")]
    [DataRow(14, "2 4 6 8 10 12 14")]
    [DataRow(70, "1 10 20 30 40 50 60 70")]
    public void Epochs_have_whole_ticks(int epochs, string ticks) => Assert.AreEqual(
        ticks, string.Join(' ', ChartAxis.Whole(0.5, epochs + 0.5, 1, 8).Ticks.Select(tick => tick.Text)));

    [TestMethod]
    public void Bins_have_round_edges_and_hold_every_value()
    {
        double[][] samples =
        [
            Sample.Doubles(200, 1), Sample.Doubles(7, 2, 1, 1e-5), [1, 1, 1], [0], [-3, -3], [1, 1 + 1e-9], [0, 1],
            [0.3, 0.1 + 0.2], [-1, -0.5], [1e6, 1e6 + 1],
        ];
        foreach (double[] sample in samples)
        {
            HistogramBins bins = HistogramBins.Of(sample, 10);
            Assert.AreEqual(sample.Length, bins.Counts.Sum());
            Assert.IsTrue(bins.Low <= sample.Min() && bins.High >= sample.Max(), $"{bins}");
            for (int i = 0; i < bins.Counts.Length; i++)
            {
                double rounding = 1e-9 * bins.Step;
                int inside = sample.Count(
                    value => value > bins.Edge(i) + rounding && value < bins.Edge(i + 1) - rounding);
                int within = sample.Count(
                    value => value >= bins.Edge(i) - rounding && value <= bins.Edge(i + 1) + rounding);
                Assert.IsTrue(bins.Counts[i] >= inside && bins.Counts[i] <= within, $"bin {i} of {bins}");
            }
        }
    }

    [TestMethod]
    public void Text_is_cut_with_an_ellipsis_where_it_has_no_room_and_left_out_where_it_has_none()
    {
        Assert.AreEqual("head", TextSize.Fit("head", 100));
        Assert.AreEqual("every…", TextSize.Fit("everything", 50));
        Assert.AreEqual("", TextSize.Fit("everything", 15));
        Assert.AreEqual("\U0001D6FE\U0001D6FE…", TextSize.Fit("\U0001D6FE\U0001D6FE\U0001D6FE\U0001D6FE", 40));
    }

    [TestMethod]
    [DataRow(new[] { 1, double.NegativeInfinity }, "-1.0 -0.5 0 0.5 1.0 −∞")]
    [DataRow(new[] { double.PositiveInfinity, double.NegativeInfinity }, "-1.0 -0.5 0 0.5 1.0 ∞ −∞")]
    [DataRow(new[] { double.NegativeInfinity, double.NaN }, "-1.0 -0.5 0 −∞")]
    [DataRow(new[] { -8, double.PositiveInfinity }, "-10 -5 0 5 10 ∞")]
    public void An_infinite_bar_goes_to_an_edge_that_is_as_far_as_the_longest_other(double[] values, string texts)
    {
        ChartBar[] bars = Array.ConvertAll(values, value => new ChartBar("", value, ""));
        XElement chart = XElement.Parse(new BarChart("Shift", "unit", bars, []).ToHtml()).Element("svg")!;
        string[] words = [.. chart.Elements("text").Select(text => text.Value).Where(text => text is not ("" or "unit"))];
        Assert.AreEqual(texts, string.Join(' ', words));
        foreach (XElement bar in chart.Elements("rect"))
            Assert.IsTrue((double)bar.Attribute("width")! > 100, $"{bar}");
    }

    [TestMethod]
    [DataRow(1e-308, 1e308)]
    [DataRow(double.Epsilon, 1)]
    [DataRow(1, double.MaxValue)]
    public void An_axis_of_extreme_ratios_has_finite_ends(double least, double greatest)
    {
        ChartAxis axis = ChartAxis.Ratios([least, greatest], 4);
        Assert.IsTrue(axis.Low > 0 && double.IsFinite(axis.High), $"{axis}");
        Assert.IsTrue(axis.Ticks.All(tick => axis.Share(tick.Value) is >= -1e-9 and <= 1 + 1e-9), $"{axis}");
    }

    [TestMethod]
    [DataRow(new[] { 1.0, 1.0 }, "½ 1 2")]
    [DataRow(new[] { 0.3, 3.5 }, "¼ ½ 1 2 4")]
    [DataRow(new[] { 0, 0.2, double.PositiveInfinity }, "⅛ ¼ ½ 1 2")]
    [DataRow(new[] { 0.9, 5000 }, "1/32 1 32 1024 32768")]
    [DataRow(new[] { 1e-140, 1e3 }, "2^-600 2^-400 2^-200 1 2^200")]
    public void Ratios_have_ticks_at_powers_of_two(double[] ratios, string ticks)
    {
        ChartAxis axis = ChartAxis.Ratios(ratios, 4);
        Assert.AreEqual(ticks, string.Join(' ', axis.Ticks.Select(tick => tick.Text)));
        Assert.IsTrue(
            ratios.Where(ratio => ratio > 0).All(ratio => axis.Share(Math.Min(ratio, axis.High)) is >= 0 and <= 1));
    }

    [TestMethod]
    [DataRow(new[] { 1e-17, 2e-3 }, "0.0001 0.001 0.01 0.1 1")]
    [DataRow(new[] { 0.0, double.NaN }, "0.0001 0.001 0.01 0.1 1")]
    [DataRow(new[] { 3e-9, 9e3 }, "0.0001 0.01 1 100 10000")]
    [DataRow(new[] { 1e-9, 1e250 }, "1e242 1e244 1e246 1e248 1e250")]
    public void Logarithmic_bars_begin_where_rounding_is_not_seen(double[] values, string ticks)
    {
        ChartBar[] bars = Array.ConvertAll(values, value => new ChartBar("", value, ""));
        XElement chart = XElement.Parse(
            new BarChart("KL", "unit", bars, [], BarScale.Logarithmic).ToHtml()).Element("svg")!;
        IEnumerable<string> words = chart.Elements("text").Select(text => text.Value)
            .Where(text => text is not ("" or "unit"));
        Assert.AreEqual(ticks, string.Join(' ', words));
        Assert.AreEqual("1", (string?)chart.Elements("rect").First().Attribute("width"));
    }

    [TestMethod]
    public void Values_that_differ_by_rounding_share_a_bin_of_a_histogram_with_a_least_range()
    {
        HistogramBins bins = HistogramBins.Of([-1e-17, 0, 1e-17, 3e-16], 10, least: 0.1);
        CollectionAssert.AreEqual((int[])[0, 0, 4, 0, 0], bins.Counts.ToArray());
        Assert.AreEqual(0.05, bins.Step);
    }

    [TestMethod]
    public void A_line_is_broken_where_a_value_is_missing_or_not_finite()
    {
        string chart = new LineChart("Loss", "", "nats", [
            new ChartSeries("training", "s1", [1, 2, null, 3, double.NaN, 4, 5]),
            new ChartSeries("none", "s2", [null, double.PositiveInfinity, null, null, null, null, null]),
        ], []).ToHtml(logarithmic: false);
        Assert.AreEqual(2, chart.Split("<polyline").Length - 1);
        Assert.AreEqual(5, chart.Split("<circle").Length - 1);
        Assert.IsFalse(chart.Contains("none", StringComparison.Ordinal));
    }
}
