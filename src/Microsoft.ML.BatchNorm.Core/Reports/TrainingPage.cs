using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>The page of a run, finished or not: its facts, phases, curves, batch normalizations and layers.</summary>
/// <param name="Title">The title of the page.</param>
/// <param name="Setup">The network, the options and the phases.</param>
/// <param name="History">The epochs that have ended.</param>
/// <param name="Statistics">How far the moving statistics were from the exact ones after each of them.</param>
/// <param name="State">What the network has learned.</param>
/// <param name="Result">The result of the run, or null if it has not ended.</param>
sealed record TrainingPage(
    string Title, RunSetup Setup, ImmutableArray<EpochResult> History, ImmutableArray<StatisticsDistance> Statistics,
    NetworkState State, TrainingResult? Result) : IReport
{
    /// <summary>The phases that have begun, with their epochs.</summary>
    public ImmutableArray<PhaseSpan> Spans { get; } = SpansOf(History);

    /// <summary>The best epoch, from 1 over all phases, or 0 if it is not known.</summary>
    int Best => Result is not null && History is [.., { ValidationLoss: not null }]
        ? Spans[^1].First - 1 + Result.BestEpoch
        : 0;

    /// <summary>Whether the network has the parameters of the best epoch instead of those of the last.</summary>
    bool IsBestRestored => Best > 0 && Setup.Options.EarlyStopping is { RestoreBest: true };

    public string Body() =>
        Facts() + Phases() + Curves() + OutcomeSection.Of(this) + NormalizationSection.Of(this) + Layers();

    /// <summary>The epoch whose parameters the network has; null before the first one.</summary>
    public EpochResult? Shown => History.IsEmpty ? null : IsBestRestored ? History[Best - 1] : History[^1];

    /// <summary>The position of an epoch among those of all phases, from 0, or -1.</summary>
    public int IndexOf(string phase, int epoch)
    {
        foreach (PhaseSpan span in Spans)
        {
            if (span.Name == phase)
                return span.First - 2 + epoch;
        }
        return -1;
    }

    static ImmutableArray<PhaseSpan> SpansOf(ImmutableArray<EpochResult> history)
    {
        var spans = ImmutableArray.CreateBuilder<PhaseSpan>();
        for (int i = 0; i < history.Length; i++)
        {
            if (spans.Count > 0 && spans[^1].Name == history[i].Phase)
                spans[^1] = spans[^1] with { Last = i + 1 };
            else
                spans.Add(new PhaseSpan(history[i].Phase, i + 1, i + 1));
        }
        return spans.ToImmutable();
    }

    string Facts()
    {
        TrainingOptions options = Setup.Options;
        long planned = Setup.Phases.Sum(phase => (long)phase.Epochs);
        var facts = new List<(string Name, string Value)>
        {
            ("Epochs", History.Length == planned
                ? Html.Count(planned)
                : $"{Html.Count(History.Length)} of {Html.Count(planned)}"),
            ("Ended", Result is null ? "not yet" : Result.StoppedEarly ? "by early stopping" : "as planned"),
        };
        if (Best > 0)
            facts.Add(("Best epoch", Html.Count(Best)));
        if (Shown is { } shown)
        {
            string metric = LossText.Metric(options.Loss);
            AddIfKnown("Training loss", shown.Loss);
            AddIfKnown("Validation loss", shown.ValidationLoss);
            AddIfKnown($"Training {metric}", shown.Metric);
            AddIfKnown($"Validation {metric}", shown.ValidationMetric);
        }
        facts.Add(("Objective", LossText.Name(options.Loss)));
        facts.AddRange(SettingsOf(Setup));
        if (Result is { } result)
        {
            facts.Add(("Training rows", Html.Count(result.TrainingRows)));
            facts.Add(("Validation rows", Html.Count(result.ValidationRows)));
            facts.Add(("Time", Html.Duration(result.Duration)));
            facts.Add(("Rows per second", Html.Count((long)result.RowsPerSecond)));
            facts.Add(("Date", Html.Time(result.Ended)));
        }
        facts.Add(("Version", Html.Version));
        return Html.Facts(facts) + (History.IsEmpty ? "" : Html.Paragraph(
            "The loss, the metric and the network's parameters are those of epoch "
            + $"{Html.Count(IsBestRestored ? Best : History.Length)}."));

        void AddIfKnown(string name, double? value)
        {
            if (value is { } known)
                facts.Add((name, Html.Number(known)));
        }
    }

    /// <summary>What the run was told, by name, so that two runs can be compared.</summary>
    public static IEnumerable<(string Name, string Value)> SettingsOf(RunSetup setup)
    {
        TrainingOptions options = setup.Options;
        if (setup.Phases.Length == 1)
            yield return ("Learning rate", Html.Number(setup.Phases[0].LearningRate));
        if (options.LearningRateSchedule != LearningRateSchedule.Constant)
            yield return ("Schedule", LossText.Schedule(options.LearningRateSchedule));
        yield return ("Optimizer", LossText.Optimizer(options.Optimizer));
        yield return ("Batch size", Html.Count(options.BatchSize));
        yield return ("Early stopping", options.EarlyStopping is { } stopping
            ? $"patience {Html.Count(stopping.Patience)}"
                + (stopping.MinimumImprovement > 0 ? $", at least {Html.Number(stopping.MinimumImprovement)}" : "")
                + (stopping.RestoreBest ? ", best epoch restored" : "")
            : "none");
        if (options.GradientClipNorm is { } norm)
            yield return ("Gradient norm", $"at most {Html.Number(norm)}");
        yield return ("Seed", options.Seed.ToString(System.Globalization.CultureInfo.InvariantCulture));
        yield return ("Parameters", Html.Count(setup.Network.Nodes.Sum(node => node.ParameterCount)));
    }

    string Phases()
    {
        if (Setup.Phases.Length < 2)
            return "";
        var table = new HtmlTable("Phases", "Phase", "Epochs", "Learning rate", "Parameters that learn");
        foreach (RunPhase phase in Setup.Phases)
        {
            PhaseSpan? span = Spans.FirstOrDefault(span => span.Name == phase.Name);
            string epochs = span is null ? "none yet"
                : span.First == span.Last ? Html.Count(span.First)
                : $"{Html.Count(span.First)} to {Html.Count(span.Last)}";
            table.Add(
                phase.Name, epochs, Html.Number(phase.LearningRate),
                Html.Count(phase.Network.Nodes.Sum(node => node.TrainableCount)));
        }
        return Html.Heading(2, "Phases") + table;
    }

    string Curves()
    {
        if (History.IsEmpty)
            return Html.Paragraph("No epoch is over yet.");
        Loss loss = Setup.Options.Loss;
        return Html.Heading(2, "Learning") + Figure.Grid([
            new LineChart("Loss", "", LossText.Unit(loss), [
                Line("training", "s1", epoch => epoch.Loss),
                Line("validation", "s2", epoch => epoch.ValidationLoss),
            ], Spans, Best).ToHtml(logarithmic: true),
            new LineChart("Metric", "", LossText.MetricUnit(loss), [
                Line("training", "s1", epoch => epoch.Metric),
                Line("validation", "s2", epoch => epoch.ValidationMetric),
            ], Spans, Best).ToHtml(logarithmic: false),
            new LineChart("Learning rate", "", "learning rate (of the last step)", [
                Line("learning rate", "s3", epoch => epoch.LearningRate),
            ], Spans).ToHtml(logarithmic: Spans.Length > 1),
        ]);

        ChartSeries Line(string name, string style, Func<EpochResult, double?> value) =>
            new(name, style, [.. History.Select(value)]);
    }

    string Layers()
    {
        RunPhase[] phases = [.. Setup.Phases];
        var table = new HtmlTable("Layers", [
            "Layer", "Kind", "Output shape", "Parameters",
            .. phases.Select(phase => phase.Name.Length == 0 ? "Trained" : $"Trained in {phase.Name}"),
        ]);
        foreach (NetworkNode node in Setup.Network.Nodes)
        {
            table.Add([
                node.Path, node.Layer.Kind, node.Output.ToString(), Html.Count(node.ParameterCount),
                .. phases.Select(phase => Trained(phase.Network.GetNode(node.Path))),
            ]);
        }
        return Html.Heading(2, "Layers") + table;
    }

    static string Trained(NetworkNode node) => node.ParameterCount == 0 ? HtmlTable.None
        : Network.Switches(node) is "no" ? "frozen" : Network.Switches(node);
}

/// <summary>Losses, metrics and optimizers in words, with their units.</summary>
static class LossText
{
    public static string Name(Loss loss) => loss switch
    {
        SoftmaxCrossEntropyLoss => "softmax cross-entropy",
        BinaryCrossEntropyLoss => "binary cross-entropy",
        MeanSquaredErrorLoss => "mean squared error",
        MeanAbsoluteErrorLoss => "mean absolute error",
        HuberLoss => "Huber loss",
        _ => "loss",
    };

    public static string Unit(Loss loss) => loss switch
    {
        SoftmaxCrossEntropyLoss or BinaryCrossEntropyLoss => $"{Name(loss)} (nats)",
        MeanSquaredErrorLoss => $"{Name(loss)} (target's unit²)",
        MeanAbsoluteErrorLoss => $"{Name(loss)} (target's unit)",
        _ => Name(loss),
    };

    public static string Metric(Loss loss) => IsAccuracy(loss) ? "accuracy" : "mean absolute error";

    public static string MetricUnit(Loss loss) =>
        IsAccuracy(loss) ? "accuracy (share of rows)" : "mean absolute error (target's unit)";

    public static string Optimizer(Optimizer optimizer) =>
        optimizer.WeightDecay == 0
            ? Kind(optimizer)
            : $"{Kind(optimizer)}, weight decay {Html.Number(optimizer.WeightDecay)} of "
                + (optimizer.DecayedParameters == DecayedParameters.All ? "all parameters" : "kernels");

    public static string Schedule(LearningRateSchedule schedule) => schedule switch
    {
        LearningRateSchedule.ConstantSchedule => "constant",
        LearningRateSchedule.StepSchedule step =>
            $"times {Html.Number(step.Multiplier)} every {Html.Count(step.Every, "epoch")}",
        LearningRateSchedule.CosineSchedule cosine => $"cosine, to {Html.Number(cosine.Last)} of it",
        LearningRateSchedule.WarmUpSchedule warmUp =>
            $"warm-up over {Html.Count(warmUp.Over, "epoch")}, then {Schedule(warmUp.Then)}",
        _ => schedule.GetType().Name,
    };

    static string Kind(Optimizer optimizer) => optimizer switch
    {
        SgdOptimizer { Momentum: > 0, Nesterov: true } sgd => $"SGD, Nesterov momentum {Html.Number(sgd.Momentum)}",
        SgdOptimizer { Momentum: > 0 } sgd => $"SGD, momentum {Html.Number(sgd.Momentum)}",
        SgdOptimizer => "SGD",
        AdamWOptimizer => "AdamW",
        AdamOptimizer => "Adam",
        _ => optimizer.GetType().Name,
    };

    public static bool IsAccuracy(Loss loss) => loss is SoftmaxCrossEntropyLoss or BinaryCrossEntropyLoss;
}
