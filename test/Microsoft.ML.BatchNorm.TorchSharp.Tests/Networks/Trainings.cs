namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>Short trainings that, together, use every part of the engine.</summary>
/// <remarks>
/// No bias before a batch normalization: its gradient is rounding alone, which Adam makes steps of on every device.
/// </remarks>
static class Trainings
{
    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras;

    static readonly (string Name, Network Network, TrainingOptions Options)[] all =
    [
        ("dense", Network.Input(4).Dense(6, useBias: false).BatchNormalization().Gelu().Dropout(0.3).Dense(3), new()
        {
            Optimizer = Optimizer.Adam(), GradientClipNorm = 0.1, ClassWeights = [1, 2, 3],
        }),
        ("image", Network.Input(2, 6, 6).Conv2D(3, 3, useBias: false).BatchNormalization(axis: -1).MaxPool2D()
            .BatchNormalization(BatchNormalizationOptions.PyTorch).AveragePool2D().Flatten().Dense(3), new()
        {
            Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(momentum: 0.9),
        }),
        ("groups", Network.Input(4).BatchNormalization(keras with { VirtualBatchSize = 4 }).Tanh().Dense(3), new()),
        ("renormalization", Network.Input(4)
            .BatchNormalization(keras with { Renorm = new() { RMax = 2, RMin = 0.5, DMax = 1 } }).Sigmoid().Dense(3),
            new() { Loss = Loss.Huber(1) }),
        ("ignoring", Network.Input(4).BatchNormalization(keras with { NonFinite = NonFinite.Ignore }).Dense(3), new()),
        ("penalties and constraints", Network.Input(4).Dense(6, useBias: false).BatchNormalization(keras with
        {
            GammaRegularizer = Regularizer.L1L2(0.02, 0.03), GammaConstraint = Constraint.MaxNorm(1.5),
            BetaConstraint = Constraint.NonNegative,
        }).LeakyReLU().Dense(1), new() { Loss = Loss.BinaryCrossEntropy, ClassWeights = [1, 2] }),
        ("TorchScript", TorchScriptTests.network.Unfreeze("base"), new()),
    ];

    public static IEnumerable<string> Names => all.Select(training => training.Name);

    /// <summary>Trains, goes on from a checkpoint, recomputes statistics and predicts.</summary>
    public static NetworkState Run(string name, TorchEngine engine)
    {
        (_, Network network, TrainingOptions options) = all.Single(training => training.Name == name);
        TrainingData data = Runs.Data(network, options.Loss, 24, weighted: true);
        NetworkState start = name == "TorchScript" ? TorchScriptTests.state : network.Initialize(1);
        using ITrainingSession session = engine.Start(network, start, options, data);
        Runs.Train(session, data.Rows, batchSize: 10);
        session.SetOptimizerState(session.GetOptimizerState());
        session.TrainOnBatch([3], 0.01);
        session.RecomputeStatistics([.. Enumerable.Range(0, data.Rows)]);
        session.Predict(data.Features.Span, new float[data.Rows * network.OutputShape.Size]);
        return session.GetState();
    }

    /// <summary>Compares what two engines have trained.</summary>
    public static void Compare(string name, double tolerance, TorchEngine one, TorchEngine other) =>
        Runs.Agree(
            tolerance, all.Single(training => training.Name == name).Network, Run(name, one), Run(name, other));
}
