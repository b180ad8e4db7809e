using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>Several runs side by side: their results, the settings in which they differ, and their curves.</summary>
sealed record ComparisonPage(string Title, ImmutableArray<TrainingPage> Runs) : IReport
{
    /// <summary>As many lines as can be told apart.</summary>
    public const int MostRuns = 5;

    const int MostLayers = 40;

    Loss Loss => Runs[0].Setup.Options.Loss;

    bool HaveSameLoss => Runs.All(run => run.Setup.Options.Loss == Loss);

    bool HaveSameMetric => Runs.All(run => LossText.Metric(run.Setup.Options.Loss) == LossText.Metric(Loss));

    string Units => "Each run is shown with the parameters that it ended with."
        + (HaveSameLoss ? "" : " The runs minimize different losses, which cannot be compared.")
        + (HaveSameMetric ? "" : " Their metrics are different ones, too.");

    public string Body() =>
        Html.Heading(2, "Results") + Html.Paragraph(Units) + Results()
        + Html.Heading(2, "Settings that differ")
        + (Settings() is { } settings ? settings.ToString() : Html.Paragraph("All settings are the same."))
        + Html.Heading(2, "Learning") + Curves();

    /// <summary>The results and the settings that differ, in plain text.</summary>
    public string Text() =>
        $"{Html.Visible(Title)}\n\n{Results().ToText()}\n{Units}\n\n"
        + (Settings()?.ToText() ?? "All settings are the same.\n");

    HtmlTable Results()
    {
        string metric = HaveSameMetric ? LossText.Metric(Loss) : "metric";
        var table = new HtmlTable(
            "Results", "Run", "Epochs", "Best epoch", "Training loss", "Validation loss", $"Training {metric}",
            $"Validation {metric}", "Time with validation", "Rows per second in training");
        foreach (TrainingPage run in Runs)
        {
            EpochResult? shown = run.Shown;
            table.Add(
                run.Title, Html.Count(run.History.Length), run.Best > 0 ? Html.Count(run.Best) : HtmlTable.None,
                Known(shown?.Loss), Known(shown?.ValidationLoss), Known(shown?.Metric), Known(shown?.ValidationMetric),
                Html.Duration(run.Result!.Duration), Html.Count((long)run.Result.RowsPerSecond));
        }
        return table;
    }

    /// <summary>The settings and layers that are not the same for all; null if all are.</summary>
    HtmlTable? Settings()
    {
        Dictionary<string, string>[] settings =
            [.. Runs.Select(run => run.AllSettings().ToDictionary(setting => setting.Name, setting => setting.Value))];
        Dictionary<string, string>[] layers = LayerSettings.Of(Runs.Select(run => run.Setup));
        string[] names = Different(settings), paths = Different(layers);
        if (names.Length + paths.Length == 0)
            return null;
        var table = new HtmlTable("Settings that differ", ["Setting", .. Runs.Select(run => run.Title)]);
        foreach (string name in names)
            table.Add([name, .. settings.Select(one => ValueOf(one, name))]);
        foreach (string path in paths.Take(MostLayers))
            table.Add([$"Layer {path}", .. layers.Select(one => ValueOf(one, path))]);
        if (paths.Length > MostLayers)
            table.Add([$"{Html.Count(paths.Length - MostLayers)} more layers", .. Runs.Select(_ => "…")]);
        return table;

        static string[] Different(Dictionary<string, string>[] all) =>
        [
            .. all.SelectMany(one => one.Keys).Distinct()
                .Where(name => all.Select(one => ValueOf(one, name)).Distinct().Count() > 1),
        ];

        static string ValueOf(Dictionary<string, string> all, string name) =>
            all.GetValueOrDefault(name, HtmlTable.None);
    }

    string Curves()
    {
        string unit = LossText.Unit(Loss), metric = LossText.MetricUnit(Loss);
        return Figure.Grid([
            .. HaveSameLoss
                ? new[]
                {
                    Chart("Training loss", unit, epoch => epoch.Loss, logarithmic: true),
                    Chart("Validation loss", unit, epoch => epoch.ValidationLoss, logarithmic: true),
                }
                : [],
            .. HaveSameMetric
                ? new[]
                {
                    Chart("Training metric", metric, epoch => epoch.Metric, logarithmic: false),
                    Chart("Validation metric", metric, epoch => epoch.ValidationMetric, logarithmic: false),
                }
                : [],
            Chart("Learning rate", "learning rate (of the last step)", epoch => epoch.LearningRate, logarithmic: true),
        ]);
    }

    string Chart(string title, string unit, Func<EpochResult, double?> value, bool logarithmic) => new LineChart(
        title, "", unit,
        [.. Runs.Select((run, index) => new ChartSeries(run.Title, $"s{index + 1}", [.. run.History.Select(value)]))],
        []).ToHtml(logarithmic);

    static string Known(double? value) => value is { } known ? Html.Number(known) : HtmlTable.None;
}
