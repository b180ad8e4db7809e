using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.ML.BatchNorm.Tests.Reports;

/// <summary>What the formatter of .NET Interactive shows where a cell ends with a report.</summary>
[TestClass]
[DoNotParallelize]
public class FormatterTests
{
    static IEnumerable<object[]> Reports =>
    [
        [TrainingReport.Of(ReportedRuns.Planned), TrainingReport.Of(ReportedRuns.Planned).ToHtml()],
        [ReportedRuns.Drift, ReportedRuns.Drift.ToHtml()],
    ];

    [TestMethod]
    [DynamicData(nameof(Reports))]
    public void A_report_is_shown_as_html_that_is_its_page_without_what_is_around_it(object report, string page)
    {
        string mimeType = Formatter.GetPreferredMimeTypesFor(report.GetType()).Single();
        Assert.AreEqual(HtmlFormatter.MimeType, mimeType);
        string shown = report.ToDisplayString(mimeType).Trim();
        Assert.AreEqual(page[page.IndexOf("<main", StringComparison.Ordinal)..page.IndexOf("</body>")].Trim(), shown);
        StringAssert.Contains(shown, "<svg class=\"chart\"");
    }

    [TestMethod]
    public void In_a_list_a_report_is_still_shown_by_itself()
    {
        string shown = new[] { ReportedRuns.NoDrift }.ToDisplayString(HtmlFormatter.MimeType);
        StringAssert.Contains(shown, "class=\"bn-report\"");
    }
}
