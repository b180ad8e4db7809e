using System.Text;
using Microsoft.ML.BatchNorm.Reports.Charts;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm.Reports.Training;

/// <summary>The run in some numbers, and its phases.</summary>
static class OverviewSection
{
    public static string Of(ReportedRun run) => Facts(run) + Phases(run);

    static string Facts(ReportedRun run)
    {
        var facts = new StringBuilder("<dl class=\"facts\">\n");
        TrainingOptions options = run.Setup.Options;
        long planned = run.Setup.Phases.Sum(phase => (long)phase.Epochs);
        Add("Epochs", run.History.Length == planned
            ? Html.Count(planned) : $"{Html.Count(run.History.Length)} of {Html.Count(planned)}");
        Add("Ended", run.Result is null ? "not yet" : run.Result.StoppedEarly ? "early, as asked" : "as planned");
        if (run.Best > 0)
            Add("Best epoch", Html.Count(run.Best));
        if (run.History is [.., var last])
        {
            EpochResult shown = run.IsBestRestored ? run.History[run.Best - 1] : last;
            Add("Training loss", Html.Number(shown.Loss));
            AddIf("Validation loss", shown.ValidationLoss);
            string metric = LossText.Metric(options.Loss);
            AddIf($"Training {metric}", shown.Metric);
            AddIf($"Validation {metric}", shown.ValidationMetric);
        }
        Add("Objective", LossText.Name(options.Loss));
        Add("Optimizer", LossText.Optimizer(options.Optimizer));
        Add("Rows a step", Html.Count(options.BatchSize));
        Add("Parameters", Html.Count(run.Setup.Network.Nodes.Sum(node => node.ParameterCount)));
        facts.Append("</dl>\n");
        if (!run.History.IsEmpty)
            facts.Append(Html.Paragraph(
                $"Loss and metric are those of epoch {Html.Count(run.IsBestRestored ? run.Best : run.History.Length)}, "
                + "whose parameters the network has."));
        return facts.ToString();

        void AddIf(string name, double? value)
        {
            if (value is { } known)
                Add(name, Html.Number(known));
        }

        void Add(string name, string value) =>
            facts.Append($"<div><dt>{Html.Escape(name)}</dt><dd>{Html.Escape(value)}</dd></div>\n");
    }

    static string Phases(ReportedRun run)
    {
        if (run.Setup.Phases.Length < 2)
            return "";
        var table = new HtmlTable("Phases", "Phase", "Epochs", "Learning rate", "Parameters that learn");
        foreach (RunPhase phase in run.Setup.Phases)
        {
            PhaseSpan? span = run.Spans.FirstOrDefault(span => span.Name == phase.Name);
            string epochs = span is null ? "none yet"
                : span.First == span.Last ? Html.Count(span.First)
                : $"{Html.Count(span.First)} to {Html.Count(span.Last)}";
            table.Add(
                phase.Name, epochs, Html.Number(phase.LearningRate),
                Html.Count(phase.Network.Nodes.Sum(node => node.TrainableCount)));
        }
        return Html.Heading(2, "Phases") + table;
    }
}
