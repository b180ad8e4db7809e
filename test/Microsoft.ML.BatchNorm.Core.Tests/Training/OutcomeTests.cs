namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>What a result says of its validation rows, and of the run.</summary>
[TestClass]
public class OutcomeTests
{
    static readonly Network network =
        Network.Input(2).Dense(8).BatchNormalization().ReLU().Dense(3);

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void The_confusion_is_that_of_the_delivered_network(bool restoresBest)
    {
        TrainingData validation = Classes(70, seed: 2);
        TrainingResult result = Train(
            new() { Epochs = 12, Optimizer = Optimizer.Adam(0.3), RecomputeStatistics = true,
                EarlyStopping = restoresBest ? new EarlyStopping { Patience = 50 } : null }, validation);

        float[] outputs = new float[70 * 3];
        new NetworkModel(network, result.State).Predict(validation.Features.Span, outputs);
        ConfusionCount[] expected =
        [
            .. outputs.Chunk(3).Zip(validation.Targets.ToArray())
                .GroupBy(row => ((int)row.Second, Array.IndexOf(row.First, row.First.Max())))
                .OrderBy(group => group.Key)
                .Select(group => new ConfusionCount(group.Key.Item1, group.Key.Item2, group.Count())),
        ];
        if (restoresBest)
            Assert.AreNotEqual(12, result.BestEpoch);
        CollectionAssert.AreEqual(expected, result.Confusion.ToArray());
        Assert.AreEqual(0, result.ValidationPredictions.Length);
        Assert.AreEqual((100, 70), (result.TrainingRows, result.ValidationRows));
        Assert.IsTrue(result.Duration > TimeSpan.Zero && result.RowsPerSecond > 0);
        Assert.IsLessThan(TimeSpan.FromMinutes(10), DateTimeOffset.UtcNow - result.Ended);
    }

    [TestMethod]
    public void A_binary_run_counts_the_two_classes_and_skips_rows_without_weight()
    {
        Network binary = Network.Input(2).BatchNormalization().Dense(1);
        float[] features = Sample.Floats(80, 3);
        var validation = new TrainingData(
            40, features, features.Chunk(2).Select(row => row[0] > 0 ? 1f : 0f).ToArray(),
            Enumerable.Range(0, 40).Select(row => row % 4 == 0 ? 0f : 2f).ToArray());

        TrainingResult result = NetworkTrainer.Train(
            binary, binary.Initialize(1), validation,
            new() { Loss = Loss.BinaryCrossEntropy, Epochs = 30, Optimizer = Optimizer.Adam(0.1) }, validation);

        Assert.AreEqual(30, result.Confusion.Sum(one => one.Rows));
        Assert.IsGreaterThan(26, result.Confusion.Where(one => one.Actual == one.Predicted).Sum(one => one.Rows));
    }

    [TestMethod]
    [DataRow(70, 70)]
    [DataRow(5_001, 1_667)]
    public void A_regression_keeps_targets_and_predictions(int rows, int kept)
    {
        Network regression = Network.Input(2).Dense(1);
        TrainingData validation = new(
            rows, Sample.Floats(2 * rows, 4), Enumerable.Range(0, rows).Select(row => row / 7f).ToArray());

        TrainingResult result = NetworkTrainer.Train(
            regression, regression.Initialize(1), Runs.Data(40), new() { Loss = Loss.MeanSquaredError, Epochs = 1 },
            validation);

        float[] outputs = new float[rows];
        new NetworkModel(regression, result.State).Predict(validation.Features.Span, outputs);
        int stride = (rows + 1_999) / 2_000;
        Assert.AreEqual(kept, result.ValidationPredictions.Length);
        for (int i = 0; i < kept; i++)
        {
            Assert.AreEqual(i * stride / 7f, result.ValidationPredictions[i].Target);
            Assert.AreEqual(outputs[i * stride], result.ValidationPredictions[i].Prediction, 1e-6);
        }
        Assert.AreEqual(0, result.Confusion.Length);
    }

    [TestMethod]
    public void Without_validation_there_is_none()
    {
        TrainingResult result = Train(new() { Epochs = 1 }, null);
        Assert.AreEqual((0, 0, 0), (
            result.Confusion.Length, result.ValidationPredictions.Length, result.ValidationRows));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public void Several_ranks_have_the_confusion_of_the_rows_of_all(int size)
    {
        TrainingOptions options = new() { Epochs = 2, BatchSize = 20, ValidationSplit = 0.3 };
        TrainingResult[] ranks = ThreadCollective.Run(size, collective => NetworkTrainer.Train(
            network, network.Initialize(1), Classes(100, 1).Share(collective), options,
            engine: new CpuEngine(1, collective)));
        TrainingResult one = NetworkTrainer.Train(network, network.Initialize(1), Classes(100, 1), options);
        foreach (TrainingResult rank in ranks)
        {
            CollectionAssert.AreEqual(one.Confusion.ToArray(), rank.Confusion.ToArray());
            Assert.AreEqual((70, 30), (rank.TrainingRows, rank.ValidationRows));
        }
    }

    [TestMethod]
    public void Several_ranks_have_the_predictions_of_the_rows_of_all()
    {
        Network regression = Network.Input(2).Dense(1);
        TrainingOptions options = new() { Loss = Loss.MeanSquaredError, Epochs = 1, ValidationSplit = 0.3 };
        TrainingResult[] ranks = ThreadCollective.Run(2, collective => NetworkTrainer.Train(
            regression, regression.Initialize(1), Runs.Data(50).Share(collective), options,
            engine: new CpuEngine(1, collective)));
        Assert.AreEqual(15, ranks[0].ValidationPredictions.Length);
        CollectionAssert.AreEqual(
            ranks[0].ValidationPredictions.ToArray(), ranks[1].ValidationPredictions.ToArray());
    }

    [TestMethod]
    public void A_run_that_is_resumed_has_the_outcome_if_it_measures_the_epoch_of_its_state()
    {
        TrainingData data = Classes(100, seed: 1), validation = Classes(70, seed: 2);
        TrainingResult whole = Train(new() { Epochs = 4 }, validation), half = Train(new() { Epochs = 2 }, validation);
        TrainingResult resumed = NetworkTrainer.Resume(half.Checkpoint.WithEpochs(4), data, validation);
        Assert.AreEqual(whole.State, resumed.State);
        CollectionAssert.AreEqual(whole.Confusion.ToArray(), resumed.Confusion.ToArray());
        Assert.IsTrue(NetworkTrainer.Resume(half.Checkpoint, data, validation).Confusion.IsEmpty);
    }

    static TrainingResult Train(TrainingOptions options, TrainingData? validation) =>
        NetworkTrainer.Train(network, network.Initialize(1), Classes(100, seed: 1), options, validation);

    /// <summary>Three classes that overlap.</summary>
    static TrainingData Classes(int rows, int seed)
    {
        float[] features = Sample.Floats(2 * rows, seed);
        float[] noise = Sample.Floats(rows, seed + 10);
        return new(
            rows, features,
            features.Chunk(2).Zip(noise, (row, more) => (float)row.Count(value => value + more / 2 > 0)).ToArray());
    }
}
