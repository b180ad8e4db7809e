namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>Networks, data and progress of the loop's tests.</summary>
static class Runs
{
    public static Network Network { get; } = BatchNorm.Network.Input(2)
        .Dense(3, name: "base").BatchNormalization(name: "norm").ReLU().Dropout(0.25).Dense(1, name: "top");

    public static NetworkState State { get; } = Network.Initialize(1);

    public static TrainingOptions Options { get; } = new()
    {
        Loss = Loss.MeanSquaredError,
        Optimizer = Optimizer.Sgd(0.5),
        Epochs = 3,
        BatchSize = 4,
    };

    /// <summary>Rows of two features whose target is 0.</summary>
    public static TrainingData Data(int rows, int seed = 1) =>
        new(rows, Sample.Floats(2 * rows, seed), new float[rows]);

    public static TrainingResult Train(
        RecordingEngine engine, TrainingOptions options, int rows = 10, TrainingData? validation = null,
        IProgress<TrainingProgress>? progress = null) =>
        NetworkTrainer.Train(Network, State, Data(rows), options, validation, engine, progress);
}

/// <summary>Keeps all reports, on the thread that makes them.</summary>
sealed class Reports(Action<TrainingProgress>? then = null) : IProgress<TrainingProgress>
{
    public List<TrainingProgress> All { get; } = [];

    public void Report(TrainingProgress value)
    {
        All.Add(value);
        then?.Invoke(value);
    }
}
