namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class ResumeTests
{
    static readonly TrainingData data = Data(90, 1), validation = Data(20, 2);

    static readonly Network network = Network.Input(5)
        .Dense(8, useBias: false).BatchNormalization().ReLU().Dropout(0.3).Dense(6).Tanh().Dense(3);

    static readonly NetworkState state = network.Initialize(1);

    static IEnumerable<object[]> Optimizers =>
    [
        [Optimizer.Sgd(0.1)], [Optimizer.Sgd(0.05, momentum: 0.9, nesterov: true)], [Optimizer.Adam(0.01)],
        [Optimizer.AdamW(0.01)], [Optimizer.AdamW(0.01, 0.5, DecayedParameters.All)],
    ];

    [TestMethod]
    [DynamicData(nameof(Optimizers))]
    public void A_run_canceled_before_any_step_and_resumed_from_a_file_has_the_bits_of_the_unbroken_one(
        Optimizer optimizer)
    {
        TrainingOptions options = Options(optimizer);
        TrainingResult unbroken = NetworkTrainer.Train(network, state, data, options, validation);
        Assert.IsTrue(unbroken.StoppedEarly || unbroken.History.Length == options.Epochs);
        for (int step = 0; step < unbroken.History.Length * 6; step++)
        {
            using var source = new CancellationTokenSource();
            var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
                network, state, data, options, validation, CountingEngine.CancelingAfter(step, source),
                cancellationToken: source.Token));
            Assert.AreEqual(Math.Max(0, step - 1) / 6 + 1, canceled.Checkpoint.Epoch, $"step {step}");
            AssertSame(unbroken, NetworkTrainer.Resume(Stored(canceled.Checkpoint), data, validation), $"step {step}");
        }
    }

    [TestMethod]
    public void A_plan_canceled_before_any_step_and_resumed_from_a_file_has_the_bits_of_the_unbroken_one()
    {
        FineTuningPlan plan = FineTune.HeadThenAll(2, 2, 0.05, 0.01, FineTuneBatchNormalization.Train);
        TrainingOptions options = Options(Optimizer.Adam()) with { EarlyStopping = null, ValidationSplit = 0.2 };
        TrainingResult unbroken = NetworkTrainer.Train(network, state, data, options, plan);
        for (int step = 0; step < 20; step++)
        {
            using var source = new CancellationTokenSource();
            var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
                network, state, data, options, plan, engine: CountingEngine.CancelingAfter(step, source),
                cancellationToken: source.Token));
            AssertSame(unbroken, NetworkTrainer.Resume(Stored(canceled.Checkpoint), data), $"step {step}");
        }
    }

    [TestMethod]
    public void A_run_broken_at_every_step_has_the_bits_of_the_unbroken_one()
    {
        TrainingOptions options = Options(Optimizer.Adam(0.01)) with { EarlyStopping = null };
        TrainingResult unbroken = NetworkTrainer.Train(network, state, data, options, validation);
        TrainingResult? result = null;
        TrainingCheckpoint? checkpoint = null;
        while (result is null)
        {
            using var source = new CancellationTokenSource();
            var engine = CountingEngine.CancelingAfter(1, source);
            try
            {
                result = checkpoint is null
                    ? NetworkTrainer.Train(network, state, data, options, validation, engine, null, source.Token)
                    : NetworkTrainer.Resume(checkpoint, data, validation, engine, null, source.Token);
            }
            catch (TrainingCanceledException canceled)
            {
                checkpoint = Stored(canceled.Checkpoint);
            }
        }
        AssertSame(unbroken, result, "every step");
    }

    [TestMethod]
    public void A_finished_run_is_prolonged_as_if_it_had_been_longer_from_the_start()
    {
        TrainingOptions options = Options(Optimizer.Adam(0.01)) with
        {
            EarlyStopping = null,
            LearningRateSchedule = LearningRateSchedule.Step(2, 0.5).WithWarmUp(1),
        };
        TrainingResult longer = NetworkTrainer.Train(network, state, data, options with { Epochs = 5 }, validation);
        TrainingResult three = NetworkTrainer.Train(network, state, data, options with { Epochs = 3 }, validation);
        TrainingCheckpoint finished = Stored(three.Checkpoint);
        AssertSame(longer, NetworkTrainer.Resume(finished.WithEpochs(5), data, validation), "prolonged");
        AssertSame(three, NetworkTrainer.Resume(finished, data, validation), "finished");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => three.Checkpoint.WithEpochs(2));
    }

    [TestMethod]
    public void A_canceled_run_has_what_it_had_learned()
    {
        using var source = new CancellationTokenSource();
        var engine = CountingEngine.CancelingAfter(4, source);
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            network, state, data, Options(Optimizer.Adam()), validation, engine, cancellationToken: source.Token));
        Assert.IsInstanceOfType<OperationCanceledException>(canceled);
        Assert.AreEqual(source.Token, canceled.CancellationToken);
        Assert.AreEqual((1, 4L), (canceled.Checkpoint.Epoch, canceled.Checkpoint.Step));
        Assert.AreNotEqual(state, canceled.State);
        network.CheckState(canceled.State);
        StringAssert.Contains(canceled.Message, "epoch 1, after 4");
    }

    [TestMethod]
    public void Other_rows_than_the_checkpoints_are_an_ArgumentException()
    {
        TrainingOptions options = Options(Optimizer.Adam()) with { Epochs = 1 };
        TrainingCheckpoint checkpoint = NetworkTrainer.Train(network, state, data, options, validation).Checkpoint;
        Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Resume(checkpoint, Data(90, 3), validation));
        Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Resume(checkpoint, data, Data(20, 3)));
    }

    static TrainingOptions Options(Optimizer optimizer) => new()
    {
        Optimizer = optimizer,
        Epochs = 4,
        BatchSize = 16,
        Seed = 5,
        LearningRateSchedule = LearningRateSchedule.Cosine(0.1),
        EarlyStopping = new EarlyStopping { Patience = 1 },
        RecomputeStatistics = true,
        ClassWeights = [1, 2, 0.5],
        GradientClipNorm = 1,
    };

    static TrainingData Data(int rows, int seed) => new(
        rows, Sample.Floats(5 * rows, seed), Array.ConvertAll(Sample.Floats(rows, seed + 9), Class),
        Array.ConvertAll(Sample.Floats(rows, seed + 5), MathF.Abs));

    static float Class(float value) => value < -0.5f ? 0 : value < 0.5f ? 1 : 2;

    static TrainingCheckpoint Stored(TrainingCheckpoint checkpoint)
    {
        var stream = new MemoryStream();
        checkpoint.Save(stream);
        stream.Position = 0;
        return TrainingCheckpoint.Load(stream);
    }

    static void AssertSame(TrainingResult expected, TrainingResult actual, string what)
    {
        Assert.AreEqual(expected.State, actual.State, what);
        Assert.AreEqual(expected.Network, actual.Network, what);
        CollectionAssert.AreEqual(expected.History.ToArray(), actual.History.ToArray(), what);
        Assert.AreEqual((expected.StoppedEarly, expected.BestEpoch), (actual.StoppedEarly, actual.BestEpoch), what);
    }
}
