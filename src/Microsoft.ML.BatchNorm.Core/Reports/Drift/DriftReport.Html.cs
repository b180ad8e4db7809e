using Microsoft.ML.BatchNorm.Reports;
using Microsoft.ML.BatchNorm.Reports.Drift;

namespace Microsoft.ML.BatchNorm;

/// <content>
/// The page is one file that loads nothing and runs no script, in light or dark as the reader's system is, and the
/// same bytes for the same numbers. A notebook of .NET Interactive shows the object as the same report.
/// </content>
[TypeFormatterSource(typeof(NotebookFormatterSource))]
public sealed partial class DriftReport : IReport
{
    const double DefaultSignificance = 0.01;

    const string DefaultTitle = "Drift report";

    string IReport.Title => Page(DefaultSignificance, DefaultTitle).Title;

    string IReport.Body() => Page(DefaultSignificance, DefaultTitle).Body();

    /// <summary>
    /// A page of the comparison, the worst channels first: one file that loads nothing and runs no script.
    /// </summary>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <param name="title">What the page is called, such as the name of the column.</param>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    public string ToHtml(double significance = DefaultSignificance, string title = DefaultTitle) =>
        ReportPage.Page(Page(significance, title));

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="path">The file. One that is there is replaced all at once.</param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <param name="title">What the page is called, such as the name of the column.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file must not be written.</exception>
    public void SaveHtml(string path, double significance = DefaultSignificance, string title = DefaultTitle) =>
        ReportPage.Save(Page(significance, title), path);

    /// <summary>Writes the page of <see cref="ToHtml"/>, in UTF-8.</summary>
    /// <param name="stream">Written from where it stands, neither flushed nor closed.</param>
    /// <param name="significance">The probability of a false alarm, between 0 and 1. Default: 0.01.</param>
    /// <param name="title">What the page is called, such as the name of the column.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The significance is out of range.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveHtml(Stream stream, double significance = DefaultSignificance, string title = DefaultTitle) =>
        ReportPage.Save(Page(significance, title), stream);

    DriftPage Page(double significance, string title) =>
        new(this, Check.Share(significance, nameof(significance)), Check.NotNull(title));
}
