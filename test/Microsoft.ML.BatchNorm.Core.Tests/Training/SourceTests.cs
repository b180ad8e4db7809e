namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>Training on rows that are read from a source.</summary>
[TestClass]
public class SourceTests
{
    static readonly Network network = Network.Input(6)
        .Dense(8, useBias: false).BatchNormalization().ReLU().Dropout(0.3).Dense(6).BatchNormalization().Dense(3);

    static readonly TrainingOptions options = new()
    {
        Epochs = 4,
        BatchSize = 16,
        Optimizer = Optimizer.Adam(0.01),
        ClassWeights = [1, 2, 0.5],
        EarlyStopping = new EarlyStopping { Patience = 2 },
        RecomputeStatistics = true,
        RecordStatistics = true,
        EvaluateTrainingData = true,
    };

    [TestMethod]
    [DataRow(true, 0.0, DisplayName = "validation data")]
    [DataRow(true, 0.25, DisplayName = "a split")]
    [DataRow(false, 0.25, DisplayName = "not shuffled")]
    public void Rows_of_a_source_train_to_the_same_bits_as_the_same_rows_in_memory(bool shuffle, double split)
    {
        MadeRows rows = new(200, 6, hasWeights: true), held = new(50, 6, hasWeights: true);
        TrainingOptions own = options with { Shuffle = shuffle, ValidationSplit = split };
        TrainingResult expected = Train(rows.InMemory(), held.InMemory());
        AssertSame(expected, Train(new TrainingData(rows), new TrainingData(held)));
        using RowFile file = rows.OnDisk(Path.GetTempPath()), heldFile = held.OnDisk(Path.GetTempPath());
        AssertSame(expected, Train(new TrainingData(file), new TrainingData(heldFile)));

        TrainingResult Train(TrainingData data, TrainingData validation) =>
            NetworkTrainer.Train(network, network.Initialize(1), data, own, split == 0 ? validation : null);
    }

    [TestMethod]
    public void So_do_more_rows_than_an_epoch_mixes_at_a_time()
    {
        var rows = new MadeRows(2100, 8190);
        Network wide = Network.Input(8190).Dense(4).BatchNormalization().ReLU().Dense(3);
        TrainingOptions own = options with { Epochs = 2, BatchSize = 64, ValidationSplit = 0.1 };
        TrainingData data = rows.InMemory();
        Assert.IsTrue(new RowSet(data).Blocks.Count > 1, "The rows are one window.");
        TrainingResult expected = Train(data);
        using RowFile file = rows.OnDisk(Path.GetTempPath());
        AssertSame(expected, Train(new TrainingData(file)));

        TrainingResult Train(TrainingData from) => NetworkTrainer.Train(wide, wide.Initialize(1), from, own);
    }

    [TestMethod]
    public void A_run_on_a_source_canceled_behind_any_step_and_resumed_has_the_bits_of_the_unbroken_one()
    {
        var rows = new MadeRows(100, 6);
        using RowFile file = rows.OnDisk(Path.GetTempPath());
        TrainingOptions own = options with { ValidationSplit = 0.2, EarlyStopping = null, Epochs = 2 };
        TrainingResult unbroken = NetworkTrainer.Train(network, network.Initialize(1), rows.InMemory(), own);
        for (int step = 1; step <= 10; step++)
        {
            using var source = new CancellationTokenSource();
            var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
                network, network.Initialize(1), new TrainingData(file), own,
                engine: CountingEngine.CancelingAfter(step, source), cancellationToken: source.Token));
            AssertSame(unbroken, NetworkTrainer.Resume(canceled.Checkpoint, new TrainingData(file)));
            AssertSame(unbroken, NetworkTrainer.Resume(canceled.Checkpoint, rows.InMemory()));
        }
    }

    [TestMethod]
    public void A_checkpoint_of_other_rows_is_refused()
    {
        using var source = new CancellationTokenSource();
        var rows = new MadeRows(100, 6);
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            network, network.Initialize(1), new TrainingData(rows), options with { EarlyStopping = null },
            engine: CountingEngine.CancelingAfter(3, source), cancellationToken: source.Token));
        var others = new MadeRows(100, 6) { Target = row => row == 99 ? 2 : row % 3 };
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => NetworkTrainer.Resume(canceled.Checkpoint, new TrainingData(others))).Message,
            "on other rows");
    }

    [TestMethod]
    public void A_source_is_read_once_to_be_checked_and_then_once_an_epoch()
    {
        var rows = new MadeRows(100, 6);
        NetworkTrainer.Train(
            network, network.Initialize(1), new TrainingData(rows), new TrainingOptions { Epochs = 3, BatchSize = 10 });
        int[] read = [.. rows.Readings.SelectMany(numbers => numbers)];
        CollectionAssert.AreEqual(RowOrder.All(100), read[..100]);
        Assert.AreEqual(400, read.Length);
        for (int epoch = 1; epoch < 4; epoch++)
            CollectionAssert.AreEqual(RowOrder.All(100), read[(100 * epoch)..(100 * (epoch + 1))].Order().ToArray());
    }

    [TestMethod]
    public void A_class_or_a_weight_that_is_none_is_an_error_before_the_first_step()
    {
        var engine = new RecordingEngine();
        StringAssert.Contains(
            Error(new MadeRows(100, 6) { Target = row => row == 70 ? 3 : 0 }), "Row 70 has the class 3");
        StringAssert.Contains(
            Error(new MadeRows(100, 6) { Target = row => row == 70 ? 0.5f : 0 }), "Row 70 has the class 0.5");
        StringAssert.Contains(
            Error(new MadeRows(100, 6, hasWeights: true) { Weight = row => row == 70 ? -1 : 1 }), "A weight is -1");
        Assert.IsEmpty(engine.Sessions);

        string Error(MadeRows rows) => Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Train(
            network, network.Initialize(1), new TrainingData(rows), new TrainingOptions(), engine: engine)).Message;
    }

    [TestMethod]
    public void A_feature_that_is_not_finite_is_named_by_its_row_in_the_data()
    {
        float[] features = new MadeRows(40, 6).InMemory().Features.ToArray();
        features[31 * 6 + 4] = float.NaN;
        using var file = new RowFile(Path.GetTempPath(), 6, 1, hasWeights: false);
        for (int row = 0; row < 40; row++)
            file.Add(features.AsSpan(row * 6, 6), [row % 3]);
        file.Complete();
        var error = Assert.ThrowsExactly<InvalidDataException>(() => NetworkTrainer.Train(
            network, network.Initialize(1), new TrainingData(file), new TrainingOptions()));
        StringAssert.Contains(error.Message, "row 31, slot 4 has NaN");
    }

    [TestMethod]
    public void A_step_whose_rows_cannot_be_read_leaves_everything_as_it_was()
    {
        var rows = new MadeRows(40, 6);
        using ITrainingSession session =
            new CpuEngine().Start(network, network.Initialize(1), new TrainingOptions(), new TrainingData(rows));
        session.TrainOnBatch([1, 2, 3, 4], 0.1);
        NetworkState before = session.GetState();
        rows.OnRead = _ => throw new IOException("The disk is gone.");
        Assert.ThrowsExactly<IOException>(() => session.TrainOnBatch([5, 6, 7], 0.1));
        Assert.AreEqual(before, session.GetState());
        Assert.AreEqual(1, session.Steps);
        rows.OnRead = _ => { };
        session.TrainOnBatch([5, 6, 7], 0.1);
        Assert.AreEqual(2, session.Steps);
    }

    [TestMethod]
    public void A_run_is_canceled_while_its_source_is_checked()
    {
        using var source = new CancellationTokenSource();
        var rows = new MadeRows(100_000, 6)
        {
            OnRead = count =>
            {
                if (count == 1)
                    source.Cancel();
            },
        };
        var error = Assert.ThrowsExactly<OperationCanceledException>(() => NetworkTrainer.Train(
            network, network.Initialize(1), new TrainingData(rows), new TrainingOptions(),
            cancellationToken: source.Token));
        Assert.AreEqual(source.Token, error.CancellationToken);
        Assert.HasCount(2, rows.Readings);
    }

    [TestMethod]
    public void Evaluation_reads_a_source()
    {
        var rows = new MadeRows(300, 6, hasWeights: true);
        NetworkState state = network.Initialize(1);
        Assert.AreEqual(
            NetworkTrainer.Evaluate(network, state, rows.InMemory(), Loss.SoftmaxCrossEntropy),
            NetworkTrainer.Evaluate(network, state, new TrainingData(rows), Loss.SoftmaxCrossEntropy));
    }

    [TestMethod]
    public void Data_is_read_by_rows_wherever_it_is()
    {
        var rows = new MadeRows(10, 2, hasWeights: true);
        foreach (TrainingData data in (TrainingData[])[rows.InMemory(), new(rows)])
        {
            float[] features = new float[4], targets = new float[2], weights = new float[2];
            data.Read([7, 2], features, targets, weights);
            CollectionAssert.AreEqual(new[] { 1f, 2f }, targets);
            CollectionAssert.AreEqual(new[] { 3.5f, 2.5f }, weights);
            Assert.AreEqual(rows.InMemory().Features.Span[14], features[0]);
            Assert.ThrowsExactly<ArgumentException>(() => data.Read([10, 2], features, targets, weights));
            Assert.ThrowsExactly<ArgumentException>(() => data.Read([7, 2], features.AsSpan(1), targets, weights));
            Assert.ThrowsExactly<ArgumentException>(() => data.Read([7, 2], features, targets, []));
        }
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => new TrainingData(rows).Features).Message, "Read");
    }

    static void AssertSame(TrainingResult expected, TrainingResult actual)
    {
        Assert.AreEqual(expected.State, actual.State);
        CollectionAssert.AreEqual(expected.History.ToArray(), actual.History.ToArray());
        CollectionAssert.AreEqual(expected.StatisticsHistory.ToArray(), actual.StatisticsHistory.ToArray());
    }
}
