namespace Microsoft.ML.BatchNorm.Tests.Reports;

/// <summary>Small runs and comparisons that reports are made of.</summary>
static class ReportedRuns
{
    public const string Hostile = "<script>alert(1)<\u00a0script> & \"quotes\" of a name as long as an exporter's";

    public static Network Network { get; } = Network.Input(2)
        .Dense(24, name: "first").BatchNormalization(name: "norm").ReLU()
        .Dense(16, name: "second").BatchNormalization(name: Hostile).ReLU().Dense(3, name: "top");

    static readonly TrainingData data = Data(150);

    public static TrainingOptions Options { get; } = new()
    {
        Optimizer = Optimizer.Adam(0.01),
        Epochs = 3,
        ValidationSplit = 0.2,
        EvaluateTrainingData = true,
        RecordStatistics = true,
    };

    /// <summary>Three phases, two of them of one epoch and with names that have no room.</summary>
    public static TrainingResult Planned { get; } = Train(
        Options with { EarlyStopping = new EarlyStopping { Patience = 8 }, RecomputeStatistics = true },
        new FineTuningPlan(
            new TrainingPhase("head", 1, 1e-2, network => network.Freeze("first", "norm", "second", Hostile)),
            new TrainingPhase("all but the base's statistics", 1, 1e-3, network => network.Freeze("norm")),
            new TrainingPhase("everything", 12, 1e-4, network => network)));

    /// <summary>More epochs than have markers, in one phase.</summary>
    public static TrainingResult Long { get; } = Train(
        Options with { Epochs = 70, LearningRateSchedule = LearningRateSchedule.Cosine(0).WithWarmUp(5) });

    /// <summary>One epoch, nothing validated, nothing recorded.</summary>
    public static TrainingResult Short { get; } = Train(new TrainingOptions { Epochs = 1 });

    /// <summary>A regression with rows to validate.</summary>
    public static TrainingResult Regression { get; } = NetworkTrainer.Train(
        Network.Input(2).Dense(8).BatchNormalization().ReLU().Dense(1),
        Network.Input(2).Dense(8).BatchNormalization().ReLU().Dense(1).Initialize(1),
        new TrainingData(90, Sample.Floats(180, 1), Sample.Floats(90, 2)),
        new TrainingOptions { Loss = Loss.MeanSquaredError, Epochs = 4, ValidationSplit = 0.3 });

    /// <summary>Thirty classes that the network knows by heart: their labels mean nothing.</summary>
    public static TrainingResult ManyClasses { get; } = NetworkTrainer.Train(
        Network.Input(8).Dense(64).BatchNormalization().ReLU().Dense(30),
        Network.Input(8).Dense(64).BatchNormalization().ReLU().Dense(30).Initialize(1),
        new TrainingData(
            300, Sample.Floats(2400, 1), Enumerable.Range(0, 300).Select(row => row * 7 % 30 + 0f).ToArray()),
        new TrainingOptions
        {
            Epochs = 60, Optimizer = Optimizer.Adam(0.02), ValidationSplit = 0.2, EvaluateTrainingData = true,
        });

    /// <summary>Forty channels: some shifted, some wider, one constant that has become another.</summary>
    public static DriftReport Drift { get; } = Compare(40);

    /// <summary>One channel that is as it was.</summary>
    public static DriftReport NoDrift { get; } = Compare(1);

    /// <summary>What makes a page hard: wide names without a break, infinities of either sign, values far off.</summary>
    public static DriftReport Extreme { get; } = Compare(
        Enumerable.Range(0, 20).Select(c => $"{new string("Wm@像"[c % 4], 200)}.{c}"), rows: 50,
        (c, value) => c < 9 ? 1 : value,
        (c, value) => (c % 9) switch { 0 => -2, 1 => 3, 2 => 1, 3 => 1e-70 * value, 4 => 1e70 + value, _ => value });

    /// <summary>Ten channels with the very same rows on both sides, but for rounding.</summary>
    public static DriftReport Same { get; } = Compare(
        Enumerable.Range(0, 10).Select(c => $"Features.{c}"), rows: 300, (_, value) => value,
        (_, value) => value * (1 + 1e-12), seedNow: 1);

    /// <summary>
    /// Twelve channels with histograms: other shapes, other shares of missing values, zeros, a constant, and an offset
    /// of a million.
    /// </summary>
    public static DriftReport Shapes { get; } = Compare(
        Enumerable.Range(0, 12).Select(c => c == 4 ? Hostile : $"Features.{c}"), rows: 1000,
        (c, value) => Shape(c, value), (c, value) => c switch
        {
            1 => 0.9 * Math.Sign(value) + 0.2 * value,
            3 => 6,
            4 => value > 0.5 ? double.NaN : Shape(c, value),
            6 => Shape(c, value + 1),
            8 => Shape(c, 1.5 * value),
            _ => Shape(c, value),
        }, histograms: true);

    static double Shape(int channel, double value) => channel switch
    {
        2 => Math.Max(0, Math.Round(4 * value)),
        3 => 5,
        4 => value > 2 ? double.NaN : value,
        5 => Math.Exp(2 * value),
        6 or 7 => 1e6 + 0.01 * value,
        8 => Math.Exp(value),
        9 => 1e-30 * value,
        10 => Math.Sign(value),
        11 => double.NaN,
        _ => value,
    };

    /// <summary>One value a channel: nothing that can be compared.</summary>
    public static DriftReport Empty { get; } =
        Compare(["a", "b"], rows: 1, (_, value) => value, (_, value) => value);

    public static TrainingResult Train(TrainingOptions options, FineTuningPlan? plan = null) => plan is null
        ? NetworkTrainer.Train(Network, Network.Initialize(1), data, options)
        : NetworkTrainer.Train(Network, Network.Initialize(1), data, options, plan);

    static TrainingData Data(int rows)
    {
        float[] features = Sample.Floats(2 * rows, 1);
        float[] classes = [.. features.Chunk(2).Select(row => row.Count(value => value > 0) + 0f)];
        return new TrainingData(rows, features, classes);
    }

    static DriftReport Compare(int channels) => Compare(
        Enumerable.Range(0, channels).Select(c => c == 4 ? Hostile : $"Features.{c}"), rows: 300,
        (c, value) => c == 3 ? 1 : value,
        (c, value) => channels == 1 ? value
            : c == 3 ? 2 : value * (c % 6 == 1 ? 2 : 1) + (c % 5 == 2 ? c % 2 - 0.5 : 0));

    static DriftReport Compare(
        IEnumerable<string> names, int rows, Func<int, double, double> before, Func<int, double, double> now,
        int seedNow = 2, bool histograms = false)
    {
        string[] all = [.. names];
        var layout = new ChannelLayout([rows, all.Length], 1);
        var statistics = new BatchStatistics(all.Length);
        statistics.Add(layout, Values(1, before), nonFinite: NonFinite.Ignore);
        BatchNormalizationState state = new BatchNormalizationState(new double[all.Length], new double[all.Length])
            .WithPopulation(statistics);
        if (histograms)
        {
            var counted = new ChannelHistograms(statistics);
            counted.Add(layout, Values(1, before));
            state = state.WithHistograms(counted);
        }
        var drift = new DriftStatistics(state);
        drift.Add(layout, Values(seedNow, now), NonFinite.Ignore);
        return drift.Compare(all, histograms ? "Measurements" : null);

        double[] Values(int seed, Func<int, double, double> value) =>
            [.. Sample.Doubles(rows * all.Length, seed).Select((sample, i) => value(i % all.Length, sample))];
    }
}
