namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A report of a training run: loss, metric and learning rate by epoch with the phases of a plan, how the moving
/// statistics of each batch normalization converged to the exact ones, histograms of γ and β, and the layers with what
/// was frozen. Where there are validation rows, it has the confusion matrix and the figures of each class, or the
/// residuals.
/// </summary>
/// <remarks>
/// The page is one file that loads nothing and runs no script. It follows the light or dark theme of the reader's
/// system, and the same result gives the same bytes. A notebook of .NET Interactive shows the object as that page.
/// </remarks>
[TypeFormatterSource(typeof(NotebookFormatterSource))]
public sealed class TrainingReport : IReport
{
    readonly IReport page;

    TrainingReport(IReport page)
    {
        ArgumentNullException.ThrowIfNull(page.Title, "title");
        this.page = page;
    }

    /// <summary>The title of the page.</summary>
    public string Title => page.Title;

    /// <summary>The report of a finished run.</summary>
    /// <param name="result">The result of the run.</param>
    /// <param name="title">The title of the page.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    public static TrainingReport Of(TrainingResult result, string title = "Training report") =>
        new(PageOf(result, title));

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

    /// <summary>
    /// Runs side by side: their results, the settings in which they differ, and their curves in the same charts.
    /// </summary>
    /// <param name="runs">Two to five results, each with a name of its own.</param>
    /// <param name="title">The title of the page.</param>
    /// <exception cref="ArgumentNullException">An argument, a name or a result is null.</exception>
    /// <exception cref="ArgumentException">
    /// There are fewer than two runs or more than five, or two have the same name.
    /// </exception>
    /// <example>
    /// <code>
    /// Network network = Network.Input(2).BatchNormalization().Dense(1);
    /// var random = new Random(1);
    /// float[] features = [.. Enumerable.Range(0, 200).Select(_ => random.NextSingle())];
    /// var data = new TrainingData(rows: 100, features, targets: new float[100]);
    /// TrainingReport.Compare([("Adam", Train(Optimizer.Adam())), ("SGD", Train(Optimizer.Sgd(0.1)))])
    ///     .SaveHtml("compared.html");
    ///
    /// TrainingResult Train(Optimizer optimizer) => NetworkTrainer.Train(
    ///     network, network.Initialize(seed: 1), data,
    ///     new TrainingOptions { Loss = Loss.MeanSquaredError, Epochs = 2, Optimizer = optimizer });
    /// </code>
    /// </example>
    public static TrainingReport Compare(
        IEnumerable<(string Name, TrainingResult Result)> runs, string title = "Compared runs")
    {
        ArgumentNullException.ThrowIfNull(runs);
        TrainingPage[] pages = [.. runs.Select(run => PageOf(run.Result, run.Name))];
        if (pages.Length is < 2 or > ComparisonPage.MostRuns)
            throw new ArgumentException(
                $"There must be 2 to {ComparisonPage.MostRuns} runs, not {pages.Length}.", nameof(runs));
        if (pages.GroupBy(page => page.Title).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new ArgumentException($"Two runs have the name '{twice.Key}'.", nameof(runs));
        return new TrainingReport(new ComparisonPage(title, [.. pages]));
    }

    /// <summary>
    /// The report in plain text, with a line feed at the end of each line: results, epochs, the classes of the
    /// validation rows, and settings.
    /// </summary>
    public override string ToString() => page switch
    {
        TrainingPage run => run.Text(),
        ComparisonPage runs => runs.Text(),
        _ => Title,
    };

    /// <summary>The page.</summary>
    public string ToHtml() => ReportPage.Page(page);

    /// <summary>Writes the page, in UTF-8.</summary>
    /// <param name="path">The file. An existing file is replaced in one step.</param>
    /// <param name="title">The title of the page; null for <see cref="Title"/>.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">You may not write the file.</exception>
    public void SaveHtml(string path, string? title = null) => ReportPage.Save(Titled(title), path);

    /// <summary>Writes the page, in UTF-8.</summary>
    /// <param name="stream">The page is written at its position; it is neither flushed nor closed.</param>
    /// <param name="title">The title of the page; null for <see cref="Title"/>.</param>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveHtml(Stream stream, string? title = null) => ReportPage.Save(Titled(title), stream);

    string IReport.Body() => page.Body();

    static TrainingPage PageOf(TrainingResult result, string title)
    {
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(title);
        return new(title, result.Checkpoint.Setup, result.History, result.StatisticsHistory, result.State, result);
    }

    IReport Titled(string? title) => (title, page) switch
    {
        (null, _) => page,
        (_, TrainingPage run) => run with { Title = title },
        (_, ComparisonPage runs) => runs with { Title = title },
        _ => page,
    };
}
