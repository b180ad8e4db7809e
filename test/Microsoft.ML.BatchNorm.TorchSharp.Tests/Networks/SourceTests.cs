namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>Training on rows that are read from a source.</summary>
[TestClass]
public class SourceTests
{
    static readonly Network network = Network.Input(6)
        .Dense(8, useBias: false).BatchNormalization().ReLU().Dropout(0.3).Dense(6).BatchNormalization().Dense(3);

    static readonly TrainingOptions options = new()
    {
        Epochs = 3,
        BatchSize = 16,
        Optimizer = Optimizer.Adam(0.01),
        ClassWeights = [1, 2, 0.5],
        ValidationSplit = 0.2,
        EarlyStopping = new EarlyStopping { Patience = 2 },
        RecomputeStatistics = true,
        EvaluateTrainingData = true,
    };

    static readonly TorchEngine engine = new("cpu");

    [TestMethod]
    public void Rows_of_a_source_train_to_the_same_bits_as_the_same_rows_in_memory()
    {
        var rows = new MadeRows(150, 6, hasWeights: true);
        using RowFile file = rows.OnDisk(Path.GetTempPath());
        TrainingResult expected = Train(rows.InMemory());
        foreach (TrainingData data in (TrainingData[])[new(rows), new(file)])
        {
            TrainingResult actual = Train(data);
            Assert.AreEqual(expected.State, actual.State);
            CollectionAssert.AreEqual(expected.History.ToArray(), actual.History.ToArray());
        }
    }

    [TestMethod]
    public void Rows_of_a_source_train_to_the_same_bits_also_if_no_values_are_kept_between_layers()
    {
        var rows = new MadeRows(150, 6, hasWeights: true);
        var small = new TorchEngine("cpu", new() { DataBytesOnDevice = 0 });
        Assert.AreEqual(Train(rows.InMemory(), small).State, Train(new TrainingData(rows), small).State);
    }

    [TestMethod]
    public void A_canceled_run_continues_to_the_bits_of_the_uninterrupted_run()
    {
        var data = new TrainingData(new MadeRows(150, 6));
        TrainingResult unbroken = Train(data);
        using var source = new CancellationTokenSource();
        var progress = new Canceling(source);
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            network, network.Initialize(1), data, options, engine: engine, progress: progress,
            cancellationToken: source.Token));
        Assert.AreEqual(
            unbroken.State, NetworkTrainer.Resume(canceled.Checkpoint, data, engine: engine).State);
    }

    [TestMethod]
    public void The_error_names_the_row_of_a_feature_that_is_not_finite()
    {
        using var file = new RowFile(Path.GetTempPath(), 6, 1, hasWeights: false);
        for (int row = 0; row < 40; row++)
            file.Add([1, 2, 3, row, row == 31 ? float.NaN : 5, 6], [row % 3]);
        file.Complete();
        var error = Assert.ThrowsExactly<InvalidDataException>(() => Train(new TrainingData(file), shuffle: false));
        StringAssert.Contains(error.Message, "row 31, slot 4 has NaN");
    }

    [TestMethod]
    public void A_step_whose_rows_cannot_be_read_throws_the_source_s_error_and_leaves_the_state()
    {
        var rows = new MadeRows(40, 6);
        using ITrainingSession session =
            engine.Start(network, network.Initialize(1), options, new TrainingData(rows));
        session.TrainOnBatch([1, 2, 3, 4], 0.1);
        NetworkState before = session.GetState();
        rows.OnRead = _ => throw new IOException("The disk is gone.");
        Assert.ThrowsExactly<IOException>(() => session.TrainOnBatch([5, 6, 7], 0.1));
        Assert.AreEqual(before, session.GetState());
    }

    [TestMethod]
    public void Rows_that_could_not_be_read_are_read_again()
    {
        var rows = new MadeRows(40, 6);
        using ITrainingSession session =
            engine.Start(network, network.Initialize(1), options, new TrainingData(rows));
        rows.OnRead = _ => throw new IOException("The disk is gone.");
        Assert.ThrowsExactly<IOException>(() => session.TrainOnBatch([5, 6, 7], 0.1));
        rows.OnRead = _ => { };
        session.TrainOnBatch([5, 6, 7], 0.1);
        session.TrainOnBatch([1, 2, 3], 0.1);
        session.TrainOnBatch([5, 8, 9], 0.1);
        Assert.AreEqual(3, session.Steps);
    }

    [TestMethod]
    public void The_trainer_keeps_rows_on_disk_for_this_engine_too()
    {
        NetworkState[] states = Array.ConvertAll((long[])[long.MaxValue, 0], bytes =>
        {
            var context = new MLContext(1);
            return Blobs.Regression(context, options =>
            {
                options.Epochs = 3;
                options.Engine = engine;
                options.DataBytesInMemory = bytes;
                options.ValidationSplit = 0.2;
            }).Fit(Blobs.View(context)).Model.State;
        });
        Assert.AreEqual(states[0], states[1]);
    }

    static TrainingResult Train(TrainingData data, TorchEngine? with = null, bool shuffle = true) => NetworkTrainer.Train(
        network, network.Initialize(1), data,
        shuffle ? options : options with { Shuffle = false, ClassWeights = [], ValidationSplit = 0, EarlyStopping = null },
        engine: with ?? engine);

    sealed class Canceling(CancellationTokenSource source) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => source.Cancel();
    }
}
