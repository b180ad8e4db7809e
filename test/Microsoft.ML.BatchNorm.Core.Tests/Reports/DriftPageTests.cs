namespace Microsoft.ML.BatchNorm.Tests.Reports;

[TestClass]
public class DriftPageTests
{
    [TestMethod]
    public void Channels_stand_in_the_reports_order_and_what_drifted_is_marked()
    {
        string page = ReportedRuns.Drift.ToHtml();
        string table = page[page.IndexOf("<tbody>", StringComparison.Ordinal)..];
        string[] rows = table.Split("<tr>")[1..];
        Assert.AreEqual(ReportedRuns.Drift.Channels.Count, rows.Length);
        for (int i = 0; i < rows.Length; i++)
        {
            ChannelDrift channel = ReportedRuns.Drift.Channels[i];
            StringAssert.StartsWith(
                rows[i], $"<th scope=\"row\">{System.Net.WebUtility.HtmlEncode(channel.Name)}</th>");
            StringAssert.Contains(rows[i], channel.AdjustedPValue <= 0.01 ? "<td>yes</td>" : "<td>no</td>");
        }
        Assert.AreEqual(3 * Math.Min(16, ReportedRuns.Drift.Drifted().Count), Count(page, "class=\"bar drifted\""));
        Assert.AreEqual(0, Count(ReportedRuns.NoDrift.ToHtml(), "class=\"bar drifted\""));
    }

    [TestMethod]
    public void Another_significance_marks_other_channels()
    {
        StringAssert.Contains(ReportedRuns.Drift.ToHtml(), "1 % level");
        string page = ReportedRuns.Drift.ToHtml(0);
        StringAssert.Contains(page, "0 % level");
        StringAssert.Contains(ReportedRuns.Drift.ToHtml(title: "Features & more"), "<h1>Features &amp; more</h1>");
        Assert.AreEqual(ReportedRuns.Drift.Drifted(0).Count, Count(page, "<td>yes</td>"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ReportedRuns.Drift.ToHtml(2));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ReportedRuns.Drift.SaveHtml(Stream.Null, -1));
    }

    [TestMethod]
    public void An_infinite_shift_goes_to_the_edge_and_says_so()
    {
        Assert.AreEqual(double.PositiveInfinity, ReportedRuns.Drift.Channels[0].MeanShift);
        StringAssert.Contains(ReportedRuns.Drift.ToHtml(), ">∞</text>");
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
