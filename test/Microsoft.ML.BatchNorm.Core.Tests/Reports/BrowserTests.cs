namespace Microsoft.ML.BatchNorm.Tests.Reports;

[TestClass]
public class BrowserTests
{
    const int Phone = 390, Desk = 1280;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Every_chart_is_drawn_and_no_text_overlaps_another_on_a_phone_and_on_a_desk(bool dark)
    {
        string[] pages =
        [
            TrainingReport.Of(ReportedRuns.Planned).ToHtml(), TrainingReport.Of(ReportedRuns.Long).ToHtml(),
            TrainingReport.Of(ReportedRuns.Short).ToHtml(), ReportedRuns.Drift.ToHtml(), ReportedRuns.NoDrift.ToHtml(),
            ReportedRuns.Extreme.ToHtml(title: new string('W', 200)), ReportedRuns.Empty.ToHtml(),
            ReportedRuns.Shapes.ToHtml(), ReportedRuns.Same.ToHtml(),
            TrainingReport.Of(ReportedRuns.Regression).ToHtml(), TrainingReport.Of(ReportedRuns.ManyClasses).ToHtml(),
            TrainingReport.Compare(
                [(new string('W', 60), ReportedRuns.Planned), (ReportedRuns.Hostile, ReportedRuns.Long)]).ToHtml(),
        ];
        int[] charts =
            [3 + 2 * 4, 3 + 2 * 4, 2 + 2 * 2, 6, 3, 6, 0, 3 + 2 + 5 + 3, 6, 3 + 2 + 2, 3 + 2, 5];
        Measured[] measured = Measured.Of(Installed(), dark, pages, Phone, Desk);
        Assert.AreEqual(2 * pages.Length, measured.Length);
        for (int i = 0; i < measured.Length; i++)
        {
            Measured page = measured[i];
            string where = $"page {i / 2} at {page.Width}";
            Assert.AreEqual((i % 2 == 0 ? Phone : Desk, dark), (page.Width, page.Dark), where);
            Assert.AreEqual(charts[i / 2], page.Charts, where);
            AssertNone(page.Empty, $"{where}, empty charts");
            AssertNone(page.Overlaps, $"{where}, overlaps");
            AssertNone(page.Outside, $"{where}, outside");
            AssertNone(page.Faint, $"{where}, faint");
            Assert.AreEqual(0, page.Overflow, where);
            Assert.IsTrue(page.Charts == 0 || page.SmallestText >= 10, $"{where}: text of {page.SmallestText} pixels");
        }
    }

    [TestMethod]
    public void A_page_with_these_faults_would_be_noticed()
    {
        string page = TrainingReport.Of(ReportedRuns.Short).ToHtml().Replace(
            "</main>",
            "<p style=\"color:#888;background:#777\">faint</p><p style=\"margin-top:-30px\">over it</p>"
            + "<svg class=\"chart\" viewBox=\"0 0 380 100\" aria-label=\"bare\">"
            + "<text x=\"370\" y=\"50\">cut off</text></svg>"
            + "<div style=\"width:500px\">wide</div></main>");
        Measured measured = Measured.Of(Installed(), dark: false, [page], Phone).Single();
        Assert.AreEqual("bare", string.Join("; ", measured.Empty));
        Assert.AreEqual("faint | over it", string.Join("; ", measured.Overlaps));
        Assert.AreEqual("cut off in bare", string.Join("; ", measured.Outside));
        StringAssert.StartsWith(string.Join("; ", measured.Faint), "faint");
        Assert.IsTrue(measured.Overflow > 100);
    }

    static string Installed()
    {
        if (Browser.Find() is { } browser)
            return browser;
        Assert.Inconclusive("No browser (Chromium, Chrome or Edge) is installed; the pages were not looked at in one.");
        throw new InvalidOperationException();
    }

    static void AssertNone(string[] faults, string what) =>
        Assert.AreEqual(0, faults.Length, $"{what}: {string.Join("; ", faults.Take(10))}");
}
