namespace Microsoft.ML.BatchNorm.Tests.Diagnosis;

/// <summary>A network that was trained, well or with one fault, and the rows to look at it with.</summary>
/// <param name="Network">The network.</param>
/// <param name="State">What it has learned.</param>
/// <param name="Train">The rows that it was trained on, in their order.</param>
/// <param name="HeldOut">Other rows.</param>
/// <param name="BatchSize">The rows in a step.</param>
sealed record Patient(Network Network, NetworkState State, TrainingData Train, TrainingData HeldOut, int BatchSize)
{
    /// <summary>A training of a data set, whose details follow from the seed.</summary>
    /// <param name="data">The name of the data set.</param>
    /// <param name="seed">The seed of the split, the network and the run.</param>
    /// <param name="options">Changes the options of the batch normalizations.</param>
    /// <param name="run">Changes the options of the run.</param>
    /// <param name="rows">Changes the training rows.</param>
    /// <param name="dropout">The rate of a dropout before the last hidden kernel; 0 for none.</param>
    public static Patient Of(
        string data, int seed, Func<BatchNormalizationOptions, BatchNormalizationOptions>? options = null,
        Func<TrainingOptions, TrainingOptions>? run = null, Func<DataSet, DataSet>? rows = null,
        float dropout = 0)
    {
        DataSet all = DataSet.Load(data);
        (DataSet train, DataSet held) = all.Split(Math.Min(all.Rows.Length * 2 / 3, 800), seed);
        if (data == "digits")
            (train, held) = (train.Map((pixel, _) => pixel / 16), held.Map((pixel, _) => pixel / 16));
        else if (data != "wine")
            (train, held) = (train.Standardized(train), held.Standardized(train));
        train = rows?.Invoke(train) ?? train;
        // Averages of 100 batches lag behind the weights at the end of a short run, so that half of these recompute.
        BatchNormalizationOptions normal =
            seed % 2 == 0 ? BatchNormalizationOptions.Keras : BatchNormalizationOptions.PyTorch;
        normal = options?.Invoke(normal) ?? normal;
        Network network = Make(data, all.Features, all.Classes, normal, dropout);
        var training = new TrainingOptions
        {
            Epochs = data == "digits" ? 6 : data == "breast_cancer" ? 12 : 30,
            BatchSize = 16 << (seed % 2),
            Seed = seed,
            Optimizer = Optimizer.Adam(learningRate: 0.005),
            RecomputeStatistics = seed % 2 == 0 && options is null,
        };
        training = run?.Invoke(training) ?? training;
        TrainingData learned = train.ToData();
        TrainingResult result = NetworkTrainer.Train(network, network.Initialize(seed), learned, training);
        return new Patient(result.Network, result.State, learned, held.ToData(), training.BatchSize);
    }

    public BatchNormalizationDiagnosis OnTraining(DiagnosisOptions? options = null) => BatchNormalizationDiagnosis.Of(
        Network, State, Train, options ?? new DiagnosisOptions { Loss = Loss.SoftmaxCrossEntropy });

    public BatchNormalizationDiagnosis OnHeldOut(DiagnosisOptions? options = null) => BatchNormalizationDiagnosis.Of(
        Network, State, HeldOut, options ?? new DiagnosisOptions { Loss = Loss.SoftmaxCrossEntropy });

    static Network Make(string data, int features, int classes, BatchNormalizationOptions options, float dropout)
    {
        Network input = data == "wine" ? Network.Input(features).BatchNormalization(options) : Network.Input(features);
        Network first = data == "digits"
            ? input.Dense(32, useBias: false).BatchNormalization(options).ReLU()
            : input.Dense(12).BatchNormalization(options).ReLU();
        return (dropout > 0 ? first.Dropout(dropout) : first)
            .Dense(data == "digits" ? 24 : 8).BatchNormalization(options).ReLU().Dense(classes);
    }
}
