using Microsoft.ML.BatchNorm.Reports.Charts;

namespace Microsoft.ML.BatchNorm.Reports.Training;

/// <summary>Loss, metric and learning rate by epoch.</summary>
static class CurveSection
{
    public static string Of(ReportedRun run)
    {
        if (run.History.IsEmpty)
            return Html.Paragraph("No epoch is over yet.");
        Loss loss = run.Setup.Options.Loss;
        return Html.Heading(2, "Learning") + Figure.Grid([
            new LineChart("Loss", "", LossText.Unit(loss), [
                Line("training", "s1", epoch => epoch.Loss),
                Line("validation", "s2", epoch => epoch.ValidationLoss),
            ], run.Spans, run.Best).ToHtml(logarithmic: true),
            new LineChart("Metric", "", LossText.MetricUnit(loss), [
                Line("training", "s1", epoch => epoch.Metric),
                Line("validation", "s2", epoch => epoch.ValidationMetric),
            ], run.Spans, run.Best).ToHtml(logarithmic: false),
            new LineChart("Learning rate", "", "learning rate (of the last step)", [
                Line("learning rate", "s3", epoch => epoch.LearningRate),
            ], run.Spans).ToHtml(logarithmic: run.Spans.Length > 1),
        ]);

        Series Line(string name, string style, Func<EpochResult, double?> value) =>
            new(name, style, [.. run.History.Select(value)]);
    }
}
