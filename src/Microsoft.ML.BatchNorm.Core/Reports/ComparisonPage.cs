using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>Several runs side by side: their results, the settings in which they differ, and their curves.</summary>
sealed record ComparisonPage(string Title, ImmutableArray<TrainingPage> Runs) : IReport
{
    /// <summary>As many lines as can be told apart.</summary>
    public const int MostRuns = 5;

    public string Body() => Results() + Settings() + Curves();

    string Results()
    {
        var table = new HtmlTable(
            "Results", "run", "epochs", "training loss", "validation loss", "training metric", "validation metric",
            "time", "parameters");
        foreach (TrainingPage run in Runs)
        {
            EpochResult? shown = run.Shown;
            table.Add(
                run.Title, Html.Count(run.History.Length), Known(shown?.Loss), Known(shown?.ValidationLoss),
                Known(shown?.Metric), Known(shown?.ValidationMetric),
                run.Result is { } result ? Html.Duration(result.Duration) : HtmlTable.None,
                Html.Count(run.Setup.Network.Nodes.Sum(node => node.ParameterCount)));
        }
        return Html.Heading(2, "Results") + Html.Paragraph(
            "Each run is shown with the parameters that it ended with. Losses can be compared where the objective is "
            + "the same.") + table;
    }

    string Settings()
    {
        Dictionary<string, string>[] all =
        [
            .. Runs.Select(run => TrainingPage.SettingsOf(run.Setup)
                .Prepend(("Objective", LossText.Name(run.Setup.Options.Loss)))
                .Append(("Training rows", run.Result is { } result ? Html.Count(result.TrainingRows) : HtmlTable.None))
                .ToDictionary(setting => setting.Item1, setting => setting.Item2)),
        ];
        string[] names =
        [
            .. all.SelectMany(settings => settings.Keys).Distinct()
                .Where(name => all.Select(settings => ValueOf(settings, name)).Distinct().Count() > 1),
        ];
        if (names.Length == 0)
            return Html.Heading(2, "Settings") + Html.Paragraph("All settings are the same.");
        var table = new HtmlTable("Settings", ["setting", .. Runs.Select(run => run.Title)]);
        foreach (string name in names)
            table.Add([name, .. all.Select(settings => ValueOf(settings, name))]);
        return Html.Heading(2, "Settings that differ") + table;

        static string ValueOf(Dictionary<string, string> settings, string name) =>
            settings.GetValueOrDefault(name, HtmlTable.None);
    }

    string Curves()
    {
        Loss loss = Runs[0].Setup.Options.Loss;
        return Html.Heading(2, "Learning") + Figure.Grid([
            Chart("Training loss", LossText.Unit(loss), epoch => epoch.Loss, logarithmic: true),
            Chart("Validation loss", LossText.Unit(loss), epoch => epoch.ValidationLoss, logarithmic: true),
            Chart("Training metric", LossText.MetricUnit(loss), epoch => epoch.Metric, logarithmic: false),
            Chart("Validation metric", LossText.MetricUnit(loss), epoch => epoch.ValidationMetric, logarithmic: false),
            Chart("Learning rate", "learning rate (of the last step)", epoch => epoch.LearningRate, logarithmic: true),
        ]);
    }

    string Chart(string title, string unit, Func<EpochResult, double?> value, bool logarithmic) => new LineChart(
        title, "", unit,
        [.. Runs.Select((run, index) => new ChartSeries(run.Title, $"s{index + 1}", [.. run.History.Select(value)]))],
        []).ToHtml(logarithmic);

    static string Known(double? value) => value is { } known ? Html.Number(known) : HtmlTable.None;
}
