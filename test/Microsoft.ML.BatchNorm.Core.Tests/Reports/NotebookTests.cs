using System.Collections;
using System.Reflection;
using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Tests.Reports;

[TestClass]
public class NotebookTests
{
    static IEnumerable<object[]> Reports => [[TrainingReport.Of(ReportedRuns.Short)], [ReportedRuns.Drift]];

    /// <summary>As .NET Interactive goes about it: all by names.</summary>
    [TestMethod]
    [DynamicData(nameof(Reports))]
    public void A_notebook_finds_by_convention_what_shows_a_report(object report)
    {
        object attribute = report.GetType().GetCustomAttributes()
            .Single(candidate => candidate.GetType().Name == "TypeFormatterSourceAttribute");
        var source = (Type)attribute.GetType().GetProperty("FormatterSourceType")!.GetValue(attribute)!;
        var mimeTypes = (string[])attribute.GetType().GetProperty("PreferredMimeTypes")!.GetValue(attribute)!;
        CollectionAssert.AreEqual(new[] { "text/html" }, mimeTypes);
        object formatters = source.GetMethod("CreateTypeFormatters")!.Invoke(Activator.CreateInstance(source), null)!;
        object formatter = ((IEnumerable)formatters).Cast<object>().Single();
        Assert.AreEqual("text/html", formatter.GetType().GetProperty("MimeType")!.GetValue(formatter));

        var writer = new StringWriter();
        MethodInfo format = formatter.GetType().GetMethod("Format", [typeof(object), typeof(TextWriter)])!;
        Assert.IsTrue((bool)format.Invoke(formatter, [report, writer])!);
        string element = writer.ToString();
        StringAssert.StartsWith(element, "<main class=\"bn-report\">");
        Assert.IsFalse(element.Contains("<body", StringComparison.Ordinal));
        Assert.IsFalse((bool)format.Invoke(formatter, ["another object", writer])!);
    }

    [TestMethod]
    public void The_style_of_a_report_touches_nothing_around_it()
    {
        string page = TrainingReport.Of(ReportedRuns.Short).ToHtml();
        string style = page.Split("<style>")[1].Split("</style>")[0];
        string rules = Regex.Replace(style, @"@media [^{]*\{", "");
        string[] all = [.. rules.Split('}').Select(rule => rule.Split('{')[0].Trim())];
        foreach (string selectors in all.Where(text => text.Length > 0))
        {
            foreach (string selector in selectors.Split(','))
                StringAssert.Contains(selector, ".bn-report");
        }
    }
}
