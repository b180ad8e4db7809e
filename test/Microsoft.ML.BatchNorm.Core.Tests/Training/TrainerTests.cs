namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class TrainerTests
{
    [TestMethod]
    public void Classes_that_can_be_told_apart_are_learned_and_the_learned_network_serves_them()
    {
        (TrainingData data, TrainingData test) = (Spirals(1500, 1), Spirals(300, 2));
        Network network = Network.Input(2)
            .Dense(48).BatchNormalization().ReLU().Dense(48).BatchNormalization().ReLU().Dense(3);
        var options = new TrainingOptions { Optimizer = Optimizer.Adam(0.01), Epochs = 25, RecomputeStatistics = true };
        TrainingResult result = NetworkTrainer.Train(network, network.Initialize(1), data, options, test);
        Assert.IsTrue(result.History[^1].ValidationMetric > 0.97, $"{result.History[^1]}");
        float[] outputs = new float[3 * 300];
        new NetworkModel(result.Network, result.State).Predict(test.Features.Span, outputs);
        int right = outputs.Chunk(3)
            .Zip(test.Targets.ToArray())
            .Count(row => Array.IndexOf(row.First, row.First.Max()) == (int)row.Second);
        Assert.IsTrue(right > 0.97 * 300, $"{right}");
    }

    [TestMethod]
    public void One_thread_and_three_give_the_same_bits()
    {
        Network network = Network.Input(2).Dense(48).BatchNormalization().ReLU().Dropout(0.2).Dense(3);
        var options = new TrainingOptions
        {
            Epochs = 2,
            BatchSize = 100,
            ValidationSplit = 0.2,
            EarlyStopping = new EarlyStopping(),
        };
        TrainingResult[] results = [.. new[] { 1, 3 }.Select(threads => NetworkTrainer.Train(
            network, network.Initialize(1), Spirals(1000, 1), options, engine: new CpuEngine(threads)))];
        Assert.AreEqual(results[0].State, results[1].State);
        CollectionAssert.AreEqual(results[0].History.ToArray(), results[1].History.ToArray());
    }

    [TestMethod]
    public void Layers_that_are_frozen_keep_every_bit()
    {
        TrainingResult result = NetworkTrainer.Train(
            Runs.Network.Freeze("base", "norm"), Runs.State,
            new TrainingData(10, Sample.Floats(20, 1), Sample.Floats(10, 2)),
            Runs.Options with { RecomputeStatistics = true });
        Assert.AreEqual(Runs.State["base"], result.State["base"]);
        Assert.AreEqual(Runs.State["norm"], result.State["norm"]);
        Assert.AreNotEqual(Runs.State["top"], result.State["top"]);
    }

    [TestMethod]
    public void Recomputed_statistics_are_those_of_the_training_rows()
    {
        Network network = Network.Input(2).BatchNormalization(name: "norm").Dense(1);
        float[] features = Sample.Floats(400, 1, mean: 3, deviation: 2);
        var data = new TrainingData(200, features, new float[200]);
        TrainingResult result = NetworkTrainer.Train(
            network, network.Initialize(1), data, Runs.Options with { RecomputeStatistics = true });
        double[] column = [.. features.Where((_, i) => i % 2 == 0).Select(value => (double)value)];
        double mean = column.Average(), variance = column.Average(value => (value - mean) * (value - mean));
        BatchNormalizationState state = result.State["norm"].BatchNormalization!;
        Assert.AreEqual(mean, state.MovingMean[0], 1e-6);
        Assert.AreEqual(variance, state.MovingVariance[0], 1e-6);
    }

    [TestMethod]
    public void What_does_not_fit_is_an_ArgumentException_before_anything_runs()
    {
        var engine = new RecordingEngine();
        TrainingData data = Runs.Data(10);
        var wide = new TrainingData(5, new float[15], new float[5]);
        (Network network, NetworkState state, NetworkState other) =
            (Runs.Network, Runs.State, Network.Input(2).Dense(1).Initialize());
        IsRefused(() => NetworkTrainer.Train(network, other, data, Runs.Options, engine: engine));
        IsRefused(() => NetworkTrainer.Train(network, state, wide, Runs.Options, engine: engine));
        IsRefused(() => NetworkTrainer.Train(network, state, data, Runs.Options, wide, engine));
        IsRefused(() => Runs.Train(engine, Runs.Options with { ClassWeights = [1, 2] }));
        TrainingOptions binary = Runs.Options with { Loss = Loss.BinaryCrossEntropy };
        IsRefused(() => Runs.Train(engine, binary with { ClassWeights = [1, 2, 3] }));
        IsRefused(() => Runs.Train(engine, Runs.Options with { ValidationSplit = 0.5 }, rows: 1));
        Assert.ThrowsExactly<DirectoryNotFoundException>(
            () => Runs.Train(engine, Runs.Options with { CheckpointPath = "/no/such/folder/run.bin" }));
        Assert.AreEqual(0, engine.Sessions.Count);

        static void IsRefused(Action action) => Assert.ThrowsExactly<ArgumentException>(action);
    }

    [TestMethod]
    public void Every_session_is_disposed_of_also_where_the_run_fails()
    {
        var engine = new RecordingEngine { BeforeStep = step => throw new InvalidDataException("a feature is NaN") };
        Assert.ThrowsExactly<InvalidDataException>(() => Runs.Train(engine, Runs.Options));
        Assert.IsTrue(engine.Last.IsDisposed);
    }

    static TrainingData Spirals(int rows, int seed)
    {
        var random = new Random(seed);
        float[] features = new float[2 * rows], targets = new float[rows];
        for (int row = 0; row < rows; row++)
        {
            int arm = row % 3;
            double radius = 0.2 + random.NextDouble();
            double angle = 3 * radius + arm * Math.Tau / 3 + 0.1 * random.NextDouble();
            features[2 * row] = (float)(radius * Math.Cos(angle));
            features[2 * row + 1] = (float)(radius * Math.Sin(angle));
            targets[row] = arm;
        }
        return new TrainingData(rows, features, targets);
    }
}
