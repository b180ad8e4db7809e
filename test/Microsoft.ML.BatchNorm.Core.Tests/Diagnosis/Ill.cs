namespace Microsoft.ML.BatchNorm.Tests.Diagnosis;

/// <summary>A training with one fault made on purpose, and what the user tells of it.</summary>
/// <param name="Fault">The fault.</param>
/// <param name="Rows">The rows to look at.</param>
/// <param name="Known">What the user tells.</param>
/// <param name="Network">The network.</param>
/// <param name="State">What it has learned.</param>
sealed record Ill(
    NormalizationFault Fault, TrainingData Rows, DiagnosisOptions Known, Network Network, NetworkState State)
{
    static readonly string[] names = ["digits", "breast_cancer", "wine", "iris"];

    public static IReadOnlyDictionary<string, Func<int, Ill>> Kinds { get; } = new Dictionary<string, Func<int, Ill>>
    {
        ["too few steps"] = TooFewSteps,
        ["fast momentum"] = Fast,
        ["slow momentum"] = Slow,
        ["small batches, said"] = seed => Small(seed, isSaid: true),
        ["small batches, not said"] = seed => Small(seed, isSaid: false),
        ["other rows, training rows known"] = seed => Other(seed, isKnown: true),
        ["other rows, exact statistics"] = seed => Other(seed, isKnown: false),
        ["frozen at the initializer"] = FrozenInitializer,
        ["frozen from other rows"] = FrozenElsewhere,
        ["sorted"] = Sorted,
        ["scale"] = Scale,
        ["epsilon"] = Epsilon,
        ["dropout"] = Dropout,
    };

    public BatchNormalizationDiagnosis Diagnose() => BatchNormalizationDiagnosis.Of(Network, State, Rows, Known);

    static Ill TooFewSteps(int seed)
    {
        Patient patient = Patient.Of(
            names[seed % 4], seed, options => options with { Momentum = 0.99 }, run => run with
            {
                Epochs = 1 + seed % 2, Optimizer = Optimizer.Adam(learningRate: 0.02),
            });
        return Of(NormalizationFault.Initializer, patient, seed % 2 == 0 ? patient.Train : patient.HeldOut);
    }

    static Ill Fast(int seed)
    {
        Patient patient = Patient.Of(
            names[seed % 4], seed, options => options with { Momentum = seed % 2 == 0 ? 0.1 : 0 },
            run => run with { BatchSize = 16 });
        return Of(NormalizationFault.FastMomentum, patient, patient.Train, new() { TrainingRows = patient.Train });
    }

    static Ill Slow(int seed)
    {
        Patient patient = Patient.Of(
            names[seed % 2], seed, options => options with { Momentum = seed % 2 == 0 ? 0.999 : 0.998 },
            run => run with
            {
                Epochs = seed % 2 == 0 ? 50 : 60, BatchSize = 10,
                Optimizer = Optimizer.Adam(learningRate: seed % 2 == 0 ? 0.003 : 0.01),
            });
        return Of(
            NormalizationFault.SlowMomentum, patient, patient.Train,
            seed % 4 < 2 ? new() : new() { TrainingRows = patient.Train });
    }

    static Ill Small(int seed, bool isSaid)
    {
        Patient patient = Patient.Of(
            names[seed % 3], seed, options => options with
            {
                Momentum = 0.99, VarianceConvention = isSaid ? options.VarianceConvention : VarianceConvention.Population,
            }, run => run with { BatchSize = 2 + seed % 3, Epochs = seed % 3 == 2 ? 20 : 6 });
        return Of(
            NormalizationFault.SmallBatches, patient, patient.Train,
            isSaid ? new() { TrainingBatchSize = patient.BatchSize } : new() { TrainingRows = patient.Train });
    }

    static Ill Other(int seed, bool isKnown)
    {
        Patient patient = Patient.Of(
            names[seed % 4], seed, run: run => run with { RecomputeStatistics = !isKnown || seed % 2 == 0 });
        var random = new Random(seed);
        float gain = 0.4f + 0.3f * random.NextSingle(), haze = 0.7f + 0.4f * random.NextSingle();
        TrainingData other = patient.HeldOut;
        int width = other.FeaturesPerRow;
        float[] deviation = [.. Enumerable.Range(0, width).Select(c => Deviation(other, c))];
        float[] moved = [.. other.Features.ToArray().Select((value, i) => gain * value + haze * deviation[i % width])];
        return Of(
            NormalizationFault.OtherRows, patient, new TrainingData(other.Rows, moved, other.Targets),
            isKnown ? new() { TrainingRows = patient.Train } : new());
    }

    static Ill FrozenInitializer(int seed)
    {
        Patient patient = Patient.Of(
            names[seed % 4], seed, options => options with { UpdateStatistics = false });
        return Of(NormalizationFault.Frozen, patient, patient.Train);
    }

    static Ill FrozenElsewhere(int seed)
    {
        // Trained on some classes, then on all with frozen batch normalizations, while the layers before go on.
        Patient first = Patient.Of(names[seed % 4], seed, rows: rows => rows.Take(
            [.. Enumerable.Range(0, rows.Labels.Length).Where(row => rows.Labels[row] < (rows.Classes + 1) / 2)]));
        Patient all = Patient.Of(names[seed % 4], seed, run: run => run with { Epochs = 1 });
        Network frozen = first.Network.WithBatchNormalization(options => options with { UpdateStatistics = false }, "*");
        TrainingResult result = NetworkTrainer.Train(
            frozen, first.State, all.Train,
            new TrainingOptions { Epochs = 12, BatchSize = 16, Seed = seed, Optimizer = Optimizer.Adam(learningRate: 0.01) });
        return new Ill(
            NormalizationFault.Frozen, all.Train, new DiagnosisOptions { TrainingRows = seed % 2 == 0 ? all.Train : null },
            result.Network, result.State);
    }

    static Ill Sorted(int seed)
    {
        Patient patient = Patient.Of(
            names[seed % 4], seed, options => options with { Momentum = 0.9 },
            run => run with { Shuffle = false, BatchSize = seed % 4 == 0 ? 16 : 8, RecomputeStatistics = false },
            rows => rows.SortedByClass());
        return Of(
            NormalizationFault.RowOrder, patient, patient.Train, new()
            {
                TrainingRows = patient.Train, TrainingBatchSize = seed % 2 == 0 ? patient.BatchSize : null,
            });
    }

    static Ill Scale(int seed)
    {
        Patient patient = Patient.Of(names[seed % 4], seed);
        float factor = ((float[])[255, 1 / 255f, 1000, 0.01f])[seed / 4 % 4];
        float[] scaled = Array.ConvertAll(patient.HeldOut.Features.ToArray(), value => value * factor);
        return Of(
            NormalizationFault.InputScale, patient,
            new TrainingData(patient.HeldOut.Rows, scaled, patient.HeldOut.Targets));
    }

    static Ill Epsilon(int seed)
    {
        // Small inputs, so that ε matters.
        Patient patient = Patient.Of(
            names[seed % 4], seed, options => options with { Epsilon = seed % 2 == 0 ? 1e-3 : 1e-5, Momentum = 0.9 },
            run => run with { RecomputeStatistics = true },
            rows => rows.Map((value, _) => value * 0.01f));
        Network wrong = patient.Network.WithBatchNormalization(
            options => options with { Epsilon = seed % 2 == 0 ? 1e-5 : 1e-3 }, "*");
        return Of(
            NormalizationFault.Epsilon, patient with { Network = wrong }, patient.Train,
            seed % 4 < 2 ? new() : new() { TrainingRows = patient.Train });
    }

    static Ill Dropout(int seed)
    {
        Patient patient = Patient.Of(
            names[seed % 4], seed, options => options with { Momentum = 0.9 }, dropout: 0.5f + 0.1f * (seed % 3));
        return Of(NormalizationFault.Dropout, patient, patient.Train, new() { TrainingRows = patient.Train });
    }

    static Ill Of(NormalizationFault fault, Patient patient, TrainingData rows, DiagnosisOptions? known = null) =>
        new(fault, rows, (known ?? new()) with { Loss = Loss.SoftmaxCrossEntropy }, patient.Network, patient.State);

    static float Deviation(TrainingData rows, int column)
    {
        double[] values = [.. Enumerable.Range(0, rows.Rows).Select(
            row => (double)rows.Features.Span[row * rows.FeaturesPerRow + column])];
        double mean = values.Average();
        return (float)Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
    }
}
