using Microsoft.ML.BatchNorm.Reports;
using Microsoft.ML.BatchNorm.Reports.Training;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A run to look at: loss, metric and learning rate by epoch with the phases of a plan, how the moving statistics of
/// each batch normalization converged to the exact ones, histograms of γ and β, and the layers with what was frozen.
/// </summary>
/// <remarks>
/// The page is one file that loads nothing and runs no script, in light or dark as the reader's system is, and the
/// same bytes for the same run. A notebook of .NET Interactive shows the object as the same report.
/// </remarks>
[TypeFormatterSource(typeof(NotebookFormatterSource))]
public sealed class TrainingReport : IReport
{
    readonly ReportedRun run;

    TrainingReport(ReportedRun run, string title)
    {
        ArgumentNullException.ThrowIfNull(title);
        this.run = run;
        Title = title;
    }

    /// <summary>What the page is called.</summary>
    public string Title { get; }

    /// <summary>The report of a finished run.</summary>
    /// <param name="result">The run.</param>
    /// <param name="title">What the page is called.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    public static TrainingReport Of(TrainingResult result, string title = "Training report")
    {
        ArgumentNullException.ThrowIfNull(result);
        return new TrainingReport(
            new ReportedRun(result.Checkpoint.Setup, result.History, result.StatisticsHistory, result.State, result),
            title);
    }

    /// <summary>The report of a run that was canceled or goes on elsewhere, up to its last whole epoch.</summary>
    /// <param name="checkpoint">Where it stands.</param>
    /// <param name="title">What the page is called.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    public static TrainingReport Of(TrainingCheckpoint checkpoint, string title = "Training report")
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return new TrainingReport(
            new ReportedRun(
                checkpoint.Setup, checkpoint.History, checkpoint.StatisticsHistory, checkpoint.State, Result: null),
            title);
    }

    /// <summary>The whole page.</summary>
    public string ToHtml() => ReportPage.Page(this);

    /// <summary>Writes the page, in UTF-8.</summary>
    /// <param name="path">The file. One that is there is replaced all at once.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file must not be written.</exception>
    public void SaveHtml(string path) => ReportPage.Save(this, path);

    /// <summary>Writes the page, in UTF-8.</summary>
    /// <param name="stream">Written from where it stands, neither flushed nor closed.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveHtml(Stream stream) => ReportPage.Save(this, stream);

    string IReport.Body() =>
        OverviewSection.Of(run) + CurveSection.Of(run) + NormalizationSection.Of(run) + LayerSection.Of(run);
}
