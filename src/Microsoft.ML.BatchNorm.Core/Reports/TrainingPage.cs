using System.Collections.Immutable;
using System.Globalization;

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
    /// <summary>A table of epochs has about as many rows at most.</summary>
    const int MostEpochs = 100;

    /// <summary>The phases that have begun, with their epochs.</summary>
    public ImmutableArray<PhaseSpan> Spans { get; } = SpansOf(History);

    /// <summary>The best epoch, from 1 over all phases, or 0 if it is not known.</summary>
    public int Best => Result is not null && History is [.., { ValidationLoss: not null }]
        ? Spans[^1].First - 1 + Result.BestEpoch
        : 0;

    /// <summary>Whether the network has the parameters of the best epoch instead of those of the last.</summary>
    public bool IsBestRestored => Best > 0 && Setup.Options.EarlyStopping is { RestoreBest: true };

    public string Body() =>
        Html.Facts(Facts()) + Remarks() + Phases() + Curves() + OutcomeSection.Of(this) + NormalizationSection.Of(this)
        + Html.Heading(2, "Settings") + Settings() + Layers();

    /// <summary>The results and the settings in plain text.</summary>
    public string Text()
    {
        string remark = Remark.Of(this);
        return $"{Html.Visible(Title)}\n\n"
            + string.Concat(Facts().Select(fact => $"{fact.Name}: {fact.Value}\n"))
            + (remark.Length == 0 ? "" : $"\n{remark}\n")
            + (History.IsEmpty ? "" : $"\n{Epochs().ToText()}")
            + string.Concat(OutcomeSection.Tables(this).Select(table => $"\n{table.Title}\n{table.Table.ToText()}"))
            + $"\n{Settings().ToText()}";
    }

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

    List<(string Name, string Value)> Facts()
    {
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
            string metric = LossText.Metric(Setup.Options.Loss);
            AddIfKnown("Training loss", shown.Loss);
            AddIfKnown("Validation loss", shown.ValidationLoss);
            AddIfKnown($"Training {metric}", shown.Metric);
            AddIfKnown($"Validation {metric}", shown.ValidationMetric);
        }
        if (Result is not null)
        {
            facts.Add(("Time with validation", Html.Duration(Result.Duration)));
            facts.Add(("Rows per second in training", Html.Count((long)Result.RowsPerSecond)));
        }
        return facts;

        void AddIfKnown(string name, double? value)
        {
            if (value is { } known)
                facts.Add((name, Html.Number(known)));
        }
    }

    string Remarks()
    {
        string remark = Remark.Of(this);
        return (History.IsEmpty ? "" : Html.Paragraph(
                "The loss, the metric and the network's parameters are those of epoch "
                + $"{Html.Count(IsBestRestored ? Best : History.Length)}."))
            + (remark.Length == 0 ? "" : Html.Paragraph(remark));
    }

    HtmlTable Settings()
    {
        var table = new HtmlTable("Settings", "Setting", "Value");
        foreach ((string name, string value) in AllSettings())
            table.Add(name, value);
        if (Result is not null)
            table.Add("Date", Html.Time(Result.Ended));
        table.Add("Version", $"Microsoft.ML.BatchNorm {Html.Version}");
        return table;
    }

    /// <summary>What the run was told, and its rows, by name, so that two runs can be compared.</summary>
    public IEnumerable<(string Name, string Value)> AllSettings()
    {
        TrainingOptions options = Setup.Options;
        yield return ("Objective", LossText.Name(options.Loss));
        if (options.Loss is HuberLoss huber)
            yield return ("Huber's δ", Html.Number(huber.Delta));
        yield return ("Optimizer", LossText.Optimizer(options.Optimizer));
        yield return ("Learning rate", Setup.Phases.Length == 1 ? Html.Number(Setup.Phases[0].LearningRate)
            : string.Join(", ", Setup.Phases.Select(phase => $"{phase.Name} {Html.Number(phase.LearningRate)}")));
        yield return ("Schedule", LossText.Schedule(options.LearningRateSchedule));
        yield return ("Weight decay", LossText.WeightDecay(options.Optimizer));
        yield return ("Batch size", Html.Count(options.BatchSize));
        yield return ("Epochs", Setup.Phases.Length == 1 ? Html.Count(Setup.Phases[0].Epochs)
            : string.Join(", ", Setup.Phases.Select(phase => $"{phase.Name} {Html.Count(phase.Epochs)}")));
        yield return ("Early stopping", options.EarlyStopping is { } stopping
            ? $"patience {Html.Count(stopping.Patience, "epoch")}"
                + (stopping.MinimumImprovement > 0
                    ? $", improvement of at least {Html.Number(stopping.MinimumImprovement)}"
                    : "")
                + (stopping.RestoreBest ? ", best epoch restored" : ", last epoch kept")
            : "none");
        if (options.GradientClipNorm is { } norm)
            yield return ("Gradient norm", $"at most {Html.Number(norm)}");
        if (!options.ClassWeights.IsEmpty)
            yield return ("Class weights", string.Join(", ", options.ClassWeights.Select(Html.Number)));
        yield return ("Rows shuffled", options.Shuffle ? "yes" : "no");
        yield return ("Statistics recomputed", options.RecomputeStatistics ? "yes" : "no");
        yield return ("Seed", options.Seed.ToString(CultureInfo.InvariantCulture));
        if (Result is not null)
        {
            yield return ("Training rows", Html.Count(Result.TrainingRows));
            yield return ("Validation rows", Result.ValidationRows == 0 ? "none" : Html.Count(Result.ValidationRows));
        }
        yield return ("Parameters", Html.Count(Setup.Network.Nodes.Sum(node => node.ParameterCount)));
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
        ]) + $"<details class=\"epochs\"><summary>All values</summary>\n{Epochs()}</details>\n";

        ChartSeries Line(string name, string style, Func<EpochResult, double?> value) =>
            new(name, style, [.. History.Select(value)]);
    }

    /// <summary>The values of the curves; of many epochs, every n-th, and the last and the best.</summary>
    HtmlTable Epochs()
    {
        string metric = LossText.Metric(Setup.Options.Loss);
        (string Title, Func<EpochResult, double?> Value)[] columns =
        [
            .. new (string Title, Func<EpochResult, double?> Value)[]
            {
                ("Training loss", epoch => epoch.Loss), ("Validation loss", epoch => epoch.ValidationLoss),
                ($"Training {metric}", epoch => epoch.Metric),
                ($"Validation {metric}", epoch => epoch.ValidationMetric),
                ("Learning rate", epoch => epoch.LearningRate),
            }.Where(column => History.Any(epoch => column.Value(epoch) is not null)),
        ];
        bool hasPhases = Spans.Length > 1;
        IEnumerable<string> titles = columns.Select(column => column.Title);
        var table = new HtmlTable("Epochs", ["Epoch", .. hasPhases ? titles.Prepend("Phase") : titles]);
        int step = (History.Length + MostEpochs - 1) / MostEpochs;
        for (int i = 0; i < History.Length; i++)
        {
            if ((i + 1) % step != 0 && i + 1 != Best && i + 1 != History.Length)
                continue;
            EpochResult epoch = History[i];
            IEnumerable<string> values = columns.Select(
                column => column.Value(epoch) is { } value ? Html.Number(value) : HtmlTable.None);
            table.Add([Html.Count(i + 1), .. hasPhases ? values.Prepend(epoch.Phase) : values]);
        }
        return table;
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

    public static string WeightDecay(Optimizer optimizer) => optimizer.WeightDecay == 0
        ? "none"
        : $"{Html.Number(optimizer.WeightDecay)} of "
            + (optimizer.DecayedParameters == DecayedParameters.All ? "all parameters" : "kernels");

    public static string Schedule(LearningRateSchedule schedule) => schedule switch
    {
        LearningRateSchedule.ConstantSchedule => "constant",
        LearningRateSchedule.StepSchedule step =>
            $"{Html.Number(step.Multiplier)} times after every {Html.Count(step.Every, "epoch")}",
        LearningRateSchedule.CosineSchedule cosine => $"cosine, down to {Html.Number(cosine.Last)} times the rate",
        LearningRateSchedule.WarmUpSchedule warmUp =>
            $"warm-up over {Html.Count(warmUp.Over, "epoch")}, then {Schedule(warmUp.Then)}",
        _ => schedule.GetType().Name,
    };

    public static string Optimizer(Optimizer optimizer) => optimizer switch
    {
        SgdOptimizer { Momentum: > 0, Nesterov: true } sgd => $"SGD, Nesterov momentum {Html.Number(sgd.Momentum)}",
        SgdOptimizer { Momentum: > 0 } sgd => $"SGD, momentum {Html.Number(sgd.Momentum)}",
        SgdOptimizer => "SGD",
        AdamOptimizer adam => (adam is AdamWOptimizer ? "AdamW" : "Adam")
            + $", β₁ {Html.Number(adam.Beta1)}, β₂ {Html.Number(adam.Beta2)}, ε {Html.Number(adam.Epsilon)}",
        _ => optimizer.GetType().Name,
    };

    public static bool IsAccuracy(Loss loss) => loss is SoftmaxCrossEntropyLoss or BinaryCrossEntropyLoss;
}
