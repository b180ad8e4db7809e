namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A report of a training run: loss, metric and learning rate by epoch with the phases of a plan, how the moving
/// statistics of each batch normalization converged to the exact ones, histograms of γ and β, and the layers with what
/// was frozen.
/// </summary>
/// <remarks>
/// The page is one file that loads nothing and runs no script. It follows the light or dark theme of the reader's
/// system, and the same run gives the same bytes. A notebook of .NET Interactive shows the object as that page.
/// </remarks>
[TypeFormatterSource(typeof(NotebookFormatterSource))]
public sealed class TrainingReport : IReport
{
    readonly TrainingPage page;

    TrainingReport(TrainingPage page)
    {
        ArgumentNullException.ThrowIfNull(page.Title);
        this.page = page;
    }

    /// <summary>The title of the page.</summary>
    public string Title => page.Title;

    /// <summary>The report of a finished run.</summary>
    /// <param name="result">The result of the run.</param>
    /// <param name="title">The title of the page.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    public static TrainingReport Of(TrainingResult result, string title = "Training report")
    {
        ArgumentNullException.ThrowIfNull(result);
        return new TrainingReport(new TrainingPage(
            title, result.Checkpoint.Setup, result.History, result.StatisticsHistory, result.State, result));
    }

    /// <summary>The report of a run that was canceled or is still going on, up to its last whole epoch.</summary>
    /// <param name="checkpoint">The checkpoint of the run.</param>
    /// <param name="title">The title of the page.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    public static TrainingReport Of(TrainingCheckpoint checkpoint, string title = "Training report")
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return new TrainingReport(new TrainingPage(
            title, checkpoint.Setup, checkpoint.History, checkpoint.StatisticsHistory, checkpoint.State, Result: null));
    }

    /// <summary>The page.</summary>
    public string ToHtml() => ReportPage.Page(page);

    /// <summary>Writes the page, in UTF-8.</summary>
    /// <param name="path">The file. An existing file is replaced in one step.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">You may not write the file.</exception>
    public void SaveHtml(string path) => ReportPage.Save(page, path);

    /// <summary>Writes the page, in UTF-8.</summary>
    /// <param name="stream">The page is written at its position; it is neither flushed nor closed.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveHtml(Stream stream) => ReportPage.Save(page, stream);

    string IReport.Body() => page.Body();
}
