namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>How far the moving statistics were from the exact ones at each epoch's end.</summary>
[TestClass]
public class RecordedStatisticsTests
{
    static readonly Network network = Network.Input(4).BatchNormalization(name: "input").Dense(6)
        .BatchNormalization(BatchNormalizationOptions.PyTorch, name: "norm").ReLU().Dense(5)
        .BatchNormalization(BatchNormalizationOptions.Keras with { VirtualBatchSize = 5 }, name: "groups")
        .BatchNormalization(name: "frozen").Freeze("frozen").Dense(3);

    static readonly TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 60);

    static readonly TrainingOptions options = new()
    {
        Epochs = 4, BatchSize = 20, Seed = 3, ValidationSplit = 0.25, RecordStatistics = true,
        // Adam makes steps of full size of what rounding leaves of the gradient of a bias under a normalization.
        Optimizer = Optimizer.Sgd(0.05, momentum: 0.9),
    };

    [TestMethod]
    [DataRow(2L << 30)]
    [DataRow(0L)]
    public void The_recorded_distances_are_those_of_the_core_s_engine(long bytesOnDevice)
    {
        StatisticsDistance[] expected = [.. Train(new CpuEngine(), options).StatisticsHistory];
        StatisticsDistance[] actual = [.. Train(Engine(bytesOnDevice), options).StatisticsHistory];
        Assert.AreEqual(3 * 4, expected.Length);
        CollectionAssert.AreEqual(
            Array.ConvertAll(expected, Place), Array.ConvertAll(actual, Place));
        Agreement.Within(1e-5, Numbers(expected), Numbers(actual));

        static (int, string) Place(StatisticsDistance distance) => (distance.Epoch, distance.Layer);

        static double[] Numbers(StatisticsDistance[] record) =>
            [.. record.SelectMany(distance => new[]
            {
                distance.MeanMedian, distance.MeanMaximum, distance.VarianceMedian, distance.VarianceMaximum,
            })];
    }

    [TestMethod]
    [DataRow(2L << 30)]
    [DataRow(0L)]
    public void Recording_changes_no_bit_of_the_result(long bytesOnDevice)
    {
        TrainingOptions recomputed = options with { RecomputeStatistics = true };
        TrainingResult with = Train(Engine(bytesOnDevice), recomputed);
        TrainingResult without = Train(Engine(bytesOnDevice), recomputed with { RecordStatistics = false });
        Assert.AreEqual(without.State, with.State);
        CollectionAssert.AreEqual(without.History.ToArray(), with.History.ToArray());
    }

    [TestMethod]
    public void A_resumed_run_has_the_recorded_distances_of_the_uninterrupted_run()
    {
        TorchEngine engine = Engine(0);
        using var cancellation = new CancellationTokenSource();
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            network, network.Initialize(), data, options, engine: engine,
            progress: new TrainerTests.CancelAt(cancellation, epoch: 2), cancellationToken: cancellation.Token));
        Assert.AreEqual(3 * 2, canceled.Checkpoint.StatisticsHistory.Length);
        CollectionAssert.AreEqual(
            Train(engine, options).StatisticsHistory.ToArray(),
            NetworkTrainer.Resume(canceled.Checkpoint, data, engine: engine).StatisticsHistory.ToArray());
    }

    [TestMethod]
    public void Recording_leaves_no_tensor_behind()
    {
        Train(Engine(0), options);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        Train(Engine(0), options);
        Assert.AreEqual(before, Tensor.TotalCount);
    }

    static TorchEngine Engine(long bytesOnDevice) => new("cpu", new() { DataBytesOnDevice = bytesOnDevice });

    static TrainingResult Train(ITrainingEngine engine, TrainingOptions how) =>
        NetworkTrainer.Train(network, network.Initialize(), data, how, engine: engine);
}
