using System.Globalization;
using Microsoft.ML.BatchNorm.Tests.Drift;

namespace Microsoft.ML.BatchNorm.Tests.Reports;

[TestClass]
public class DriftPageTests
{
    [TestMethod]
    public void What_drifted_comes_first_and_is_marked_the_strongest_on_top_and_then_the_rest()
    {
        string page = ReportedRuns.Drift.ToHtml();
        string table = page[page.IndexOf("<tbody>", StringComparison.Ordinal)..];
        string[] rows = table.Split("<tr>")[1..];
        IReadOnlyList<ChannelDrift> drifted = ReportedRuns.Drift.Drifted();
        ChannelDrift[] expected = [.. drifted, .. ReportedRuns.Drift.Channels.Skip(drifted.Count)];
        Assert.AreEqual(expected.Length, rows.Length);
        for (int i = 0; i < rows.Length; i++)
        {
            StringAssert.StartsWith(
                rows[i], $"<th scope=\"row\">{System.Net.WebUtility.HtmlEncode(expected[i].Name)}</th>");
            StringAssert.Contains(rows[i], i < drifted.Count ? "<td>yes</td>" : "<td>no</td>");
        }
        for (int i = 1; i < drifted.Count; i++)
            Assert.IsTrue(drifted[i].Divergence <= drifted[i - 1].Divergence);
        Assert.AreEqual(3 * Math.Min(16, drifted.Count), Count(page, "class=\"bar drifted\""));
        Assert.AreEqual(0, Count(ReportedRuns.NoDrift.ToHtml(), "class=\"bar drifted\""));
    }

    [TestMethod]
    public void A_sentence_on_top_says_what_has_happened()
    {
        string page = ReportedRuns.Drift.ToHtml();
        int verdict = page.IndexOf("<p class=\"verdict\">", StringComparison.Ordinal);
        Assert.IsTrue(verdict > 0 && verdict < page.IndexOf("<dl", StringComparison.Ordinal));
        StringAssert.Contains(
            page, $"{ReportedRuns.Drift.Drifted().Count} of 40 channels have drifted (1 % level); the strongest is "
            + "Features.3: it was constant, and has another mean.");
        StringAssert.Contains(ReportedRuns.NoDrift.ToHtml(), "The channel has not drifted (1 % level)");
    }

    [TestMethod]
    public void The_page_says_what_was_compared_when_and_by_which_version()
    {
        string page = ReportedRuns.Shapes.ToHtml();
        foreach (string fact in (string[])["Measurements", "New rows", "Rows in training", "Microsoft.ML.BatchNorm"])
            StringAssert.Contains(page, fact);
        StringAssert.Contains(page, "<h1>Drift report: Measurements</h1>");
        StringAssert.Contains(page, $"<dd>{ReportedRuns.Shapes.Created:yyyy-MM-dd HH:mm}</dd>");
    }

    [TestMethod]
    public void Distributions_are_shown_where_there_are_histograms_and_else_the_option_is_named()
    {
        string page = ReportedRuns.Shapes.ToHtml(), without = ReportedRuns.Drift.ToHtml();
        StringAssert.Contains(page, "Distributions, then and now");
        Assert.IsTrue(Count(page, "class=\"bar now\"") > 20);
        Assert.IsFalse(page.Contains("KeepHistograms", StringComparison.Ordinal));
        StringAssert.Contains(page, "Missing now");
        Assert.AreEqual(0, Count(without, "class=\"bar now\""));
        StringAssert.Contains(without, "KeepHistograms");
    }

    [TestMethod]
    [DataRow(1e8)]
    [DataRow(1e16)]
    [DataRow(-3.5)]
    [DataRow(1e150)]
    public void Neighboring_numbers_are_drawn_by_their_difference_from_the_mean(double value)
    {
        double[] training = [.. Enumerable.Repeat(value, 2000), Math.BitIncrement(value)];
        DriftReport report = HistogramDriftTests.Compare(training, training);
        Assert.IsTrue(report.Histograms!.Value.Training.Deviation[0] > 0);
        string page = report.ToHtml();
        StringAssert.Contains(page, $"value minus {value.ToString(CultureInfo.InvariantCulture)}");
        Assert.AreEqual(2, Count(page, "class=\"bar now\""));
        Assert.IsFalse(page.Contains("NaN", StringComparison.Ordinal));
    }

    /// <summary>A file may have a grid that no values give.</summary>
    [TestMethod]
    [DataRow(0, double.MaxValue)]
    [DataRow(double.MaxValue, 1)]
    [DataRow(-double.MaxValue, double.MaxValue)]
    [DataRow(0, double.Epsilon)]
    [DataRow(1, double.Epsilon)]
    [DataRow(1, -0.0)]
    public void Any_grid_is_drawn(double mean, double deviation)
    {
        var layout = ChannelLayout.Features(5, 1);
        var histograms = new ChannelHistograms((double[])[mean], (double[])[deviation]);
        histograms.Add(layout, (double[])[-1, 0, 1, 2, 1e300]);
        BatchNormalizationState state = new BatchNormalizationState((double[])[0], (double[])[1])
            .WithPopulation(new BatchStatistics([5.0], [1], [10])).WithHistograms(histograms);
        var statistics = new DriftStatistics(state);
        statistics.Add(layout, (double[])[1, 2, 3, 4, -5]);
        string page = statistics.Compare().ToHtml();
        StringAssert.Contains(page, "Distributions, then and now");
        Assert.IsFalse(page.Contains("NaN", StringComparison.Ordinal));
    }

    [TestMethod]
    [DataRow(1e20, 1)]
    [DataRow(1e308, -1)]
    public void Histograms_hold_many_equal_or_opposite_huge_shifts(double shift, int sign)
    {
        double[] mean = [.. Enumerable.Range(0, 8).Select(c => c % 2 == 0 ? shift : sign * shift)];
        double[] ones = [.. Enumerable.Repeat(1.0, 8)];
        DriftReport report = DriftReport.Compare(
            new BatchNormalizationState(new double[8], ones), new BatchStatistics(ones, mean, new double[8]));
        StringAssert.Contains(report.ToHtml(), "All channels");
    }

    [TestMethod]
    public void Another_significance_marks_other_channels()
    {
        StringAssert.Contains(ReportedRuns.Drift.ToHtml(), "1 % level");
        string page = ReportedRuns.Drift.ToHtml(significance: 0);
        StringAssert.Contains(page, "0 % level");
        StringAssert.Contains(ReportedRuns.Drift.ToHtml("Features & more"), "<h1>Features &amp; more</h1>");
        Assert.AreEqual(ReportedRuns.Drift.Drifted(0).Count, Count(page, "<td>yes</td>"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ReportedRuns.Drift.ToHtml(significance: 2));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => ReportedRuns.Drift.SaveHtml(Stream.Null, significance: -1));
    }

    [TestMethod]
    public void An_infinite_shift_goes_to_the_edge_and_says_so()
    {
        Assert.AreEqual(double.PositiveInfinity, ReportedRuns.Drift.Channels[0].MeanShift);
        StringAssert.Contains(ReportedRuns.Drift.ToHtml(), ">∞</text>");
    }

    [TestMethod]
    public void A_p_value_is_never_0()
    {
        Assert.AreEqual(0, ReportedRuns.Drift.PValue);
        StringAssert.Contains(ReportedRuns.Drift.ToHtml(), "<td>below 1e-300</td>");
        string table = ReportedRuns.Drift.ToString();
        StringAssert.Contains(table, "below 1e-300");
        Assert.IsFalse(table.Contains(" 0.000\n", StringComparison.Ordinal), table);
    }

    /// <summary>Only a hairline is left of each bar.</summary>
    [TestMethod]
    public void The_same_rows_again_have_no_bars()
    {
        string page = ReportedRuns.Same.ToHtml();
        string bars = page[page.IndexOf("<h2>", StringComparison.Ordinal)..page.IndexOf(
            "<h2>All", StringComparison.Ordinal)];
        string[] widths = [.. bars.Split("class=\"bar \"")[1..].Select(bar => bar.Split("width=\"")[1].Split('"')[0])];
        Assert.AreEqual(3 * 10, widths.Length);
        Assert.IsTrue(widths.All(width => width == "1"), string.Join(' ', widths));
        foreach (string ratio in (string[])[">&#189;<", ">1<", ">2<"])
            StringAssert.Contains(bars, ratio);
    }

    [TestMethod]
    public void What_cannot_be_compared_has_words_instead_of_charts()
    {
        string page = ReportedRuns.Empty.ToHtml();
        Assert.IsFalse(page.Contains("<svg", StringComparison.Ordinal));
        StringAssert.Contains(page, "too few values");
    }

    [TestMethod]
    public void A_histogram_says_how_many_infinite_shifts_it_leaves_out()
    {
        int infinite = ReportedRuns.Extreme.Channels.Count(channel => double.IsInfinity(channel.MeanShift));
        Assert.IsTrue(infinite > 1);
        StringAssert.Contains(ReportedRuns.Extreme.ToHtml(), $"Mean shifts ({infinite} infinite ones left out)");
    }

    static int Count(string text, string part) => text.Split(part).Length - 1;
}
