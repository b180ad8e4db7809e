using Microsoft.ML.BatchNorm.Tests.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class RecordedStatisticsTests
{
    static readonly Network network = Network.Input(2)
        .BatchNormalization(name: "input").Dense(4, name: "base").BatchNormalization(name: "norm").ReLU()
        .Dense(1, name: "top");

    static readonly TrainingData data = new(40, Sample.Floats(80, 1, mean: 3, deviation: 2), new float[40]);

    static readonly TrainingOptions options =
        Runs.Options with { Optimizer = Optimizer.Adam(), RecordStatistics = true };

    [TestMethod]
    public void Distances_are_those_from_the_exact_statistics_of_the_training_rows()
    {
        TrainingResult result = Train(options with { Epochs = 1 });
        StatisticsDistance distance = result.StatisticsHistory.Single(entry => entry.Layer == "input");
        BatchNormalizationState moving = result.State["input"].BatchNormalization!;
        const double epsilon = 1e-3;
        double[] means = new double[2], variances = new double[2];
        for (int c = 0; c < 2; c++)
        {
            double[] column = [.. data.Features.ToArray().Where((_, i) => i % 2 == c).Select(value => (double)value)];
            double mean = column.Average(), variance = column.Average(value => (value - mean) * (value - mean));
            means[c] = Math.Abs(moving.MovingMean[c] - mean) / Math.Sqrt(variance + epsilon);
            variances[c] = Math.Abs(Math.Log((moving.MovingVariance[c] + epsilon) / (variance + epsilon)));
        }
        Assert.AreEqual(means.Max(), distance.MeanMaximum, 1e-6);
        Assert.AreEqual(means.Average(), distance.MeanMedian, 1e-6);
        Assert.AreEqual(variances.Max(), distance.VarianceMaximum, 1e-6);
        Assert.AreEqual(variances.Average(), distance.VarianceMedian, 1e-6);
        Assert.AreEqual(("", 1), (distance.Phase, distance.Epoch));
    }

    [TestMethod]
    public void Where_every_batch_is_the_whole_data_the_distance_of_means_falls_by_the_momentum_at_every_step()
    {
        TrainingResult result = Train(options with { Epochs = 60, BatchSize = 40 });
        StatisticsDistance[] input = [.. result.StatisticsHistory.Where(entry => entry.Layer == "input")];
        Assert.AreEqual(60, input.Length);
        for (int i = 1; i < input.Length; i++)
        {
            Assert.AreEqual(0.99 * input[i - 1].MeanMaximum, input[i].MeanMaximum, 1e-6);
            Assert.AreEqual(0.99 * input[i - 1].MeanMedian, input[i].MeanMedian, 1e-6);
            Assert.IsTrue(input[i].VarianceMaximum < input[i - 1].VarianceMaximum, $"{input[i]}");
        }
    }

    [TestMethod]
    public void Recording_changes_no_bit_of_what_is_learned()
    {
        TrainingOptions recomputed = options with { RecomputeStatistics = true, ValidationSplit = 0.2 };
        TrainingResult with = Train(recomputed), without = Train(recomputed with { RecordStatistics = false });
        Assert.AreEqual(without.State, with.State);
        CollectionAssert.AreEqual(without.History.ToArray(), with.History.ToArray());
        Assert.AreEqual(0, without.StatisticsHistory.Length);
        Assert.AreEqual(2 * options.Epochs, with.StatisticsHistory.Length);
    }

    [TestMethod]
    public void Only_layers_whose_statistics_move_in_a_phase_are_recorded()
    {
        FineTuningPlan plan = new(
            new TrainingPhase("head", 2, 0.1, given => given.Freeze("input", "base", "norm")),
            new TrainingPhase("deep", 1, 0.1, given => given.Freeze("input")),
            new TrainingPhase("all", 1, 0.1, given => given));
        TrainingResult result = NetworkTrainer.Train(network, network.Initialize(1), data, options, plan);
        CollectionAssert.AreEqual(
            new[] { "deep 1 norm", "all 1 input", "all 1 norm" },
            result.StatisticsHistory.Select(entry => $"{entry.Phase} {entry.Epoch} {entry.Layer}").ToArray());
    }

    [TestMethod]
    public void A_run_resumed_from_a_file_has_the_record_of_the_unbroken_one()
    {
        TrainingResult unbroken = Train(options);
        for (int step = 0; step < 30; step += 7)
        {
            using var source = new CancellationTokenSource();
            var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
                network, network.Initialize(1), data, options,
                engine: CountingEngine.CancelingAfter(step, source), cancellationToken: source.Token));
            TrainingCheckpoint stored = TrainingCheckpoint.Load(new MemoryStream(Save(canceled.Checkpoint)));
            Assert.IsTrue(stored.Options.RecordStatistics);
            CollectionAssert.AreEqual(
                canceled.Checkpoint.StatisticsHistory.ToArray(), stored.StatisticsHistory.ToArray());
            CollectionAssert.AreEqual(
                unbroken.StatisticsHistory.ToArray(), NetworkTrainer.Resume(stored, data).StatisticsHistory.ToArray());
        }
    }

    [TestMethod]
    public void A_damaged_record_is_an_InvalidDataException()
    {
        TrainingCheckpoint checkpoint = Train(options with { Epochs = 1 }).Checkpoint;
        Damage.EveryTruncationIsInvalid(Save(checkpoint), bytes => TrainingCheckpoint.Load(new MemoryStream(bytes)));
        byte[] file = Save(checkpoint);
        string definition = SafetensorsFile.Definition(file);
        Assert.HasCount(2, Load(file).StatisticsHistory);
        int last = definition.LastIndexOf("\"varianceMaximum\":", StringComparison.Ordinal);
        int end = definition.IndexOf('}', last);
        foreach (string value in (string[])["-1", "\"NaN\"", "null", "\"no number\""])
        {
            byte[] wrong = SafetensorsFile.WithDefinition(
                file, definition[..last] + "\"varianceMaximum\":" + value + definition[end..]);
            Assert.ThrowsExactly<InvalidDataException>(() => Load(wrong));
        }
        byte[] infinite = SafetensorsFile.WithDefinition(
            file, definition[..last] + "\"varianceMaximum\":\"Infinity\"" + definition[end..]);
        Assert.AreEqual(double.PositiveInfinity, Load(infinite).StatisticsHistory[^1].VarianceMaximum);

        static TrainingCheckpoint Load(byte[] bytes) => TrainingCheckpoint.Load(new MemoryStream(bytes));
    }

    [TestMethod]
    public void Constant_channels_without_an_epsilon_are_at_no_distance_or_infinitely_far()
    {
        var exact = new BatchNormalizationState([1, 1, 1], [0, 0, 4]);
        StatisticsDistance same = StatisticsDistance.Between("", 1, "norm", exact, exact, 0);
        Assert.AreEqual((0.0, 0.0, 0.0), (same.MeanMaximum, same.MeanMedian, same.VarianceMaximum));
        var moving = new BatchNormalizationState([1, 2, 3], [0, 1, 8]);
        StatisticsDistance far = StatisticsDistance.Between("", 1, "norm", moving, exact, 0);
        Assert.AreEqual((double.PositiveInfinity, double.PositiveInfinity), (far.MeanMaximum, far.VarianceMaximum));
        Assert.AreEqual((1, Math.Log(2)), (far.MeanMedian, far.VarianceMedian));
    }

    static TrainingResult Train(TrainingOptions how) =>
        NetworkTrainer.Train(network, network.Initialize(1), data, how);

    static byte[] Save(TrainingCheckpoint checkpoint)
    {
        var stream = new MemoryStream();
        checkpoint.Save(stream);
        return stream.ToArray();
    }
}
