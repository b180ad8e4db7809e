using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Microsoft.ML.BatchNorm.Tests.Persistence;

namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class CheckpointTests
{
    // A byte of a definition becomes some objects.
    const int OfEach = 512;

    static readonly TrainingCheckpoint small = Canceled(Runs.Options, plan: null);

    static readonly TrainingCheckpoint large = Canceled(
        new TrainingOptions
        {
            Loss = Loss.BinaryCrossEntropy,
            Optimizer = new AdamWOptimizer
            {
                LearningRate = 0.25,
                WeightDecay = 0.5,
                Beta1 = 0.75,
                Beta2 = 0.875,
                Epsilon = 1e-3,
            },
            LearningRateSchedule = LearningRateSchedule.Step(3, 0.5).WithWarmUp(2).WithWarmUp(1),
            Epochs = 7,
            BatchSize = 3,
            Shuffle = false,
            Seed = -5,
            GradientClipNorm = 2.5,
            ClassWeights = [0.5, 2],
            ValidationSplit = 0.25,
            EarlyStopping = new EarlyStopping { Patience = 9, MinimumImprovement = 0.125 },
            RecomputeStatistics = true,
            EvaluateTrainingData = true,
        },
        FineTune.HeadThenAll(2, 3, 0.5, 0.25));

    [TestMethod]
    public void Every_field_comes_back_and_the_bytes_are_the_same_again()
    {
        foreach (TrainingCheckpoint checkpoint in new[] { small, large })
        {
            TrainingCheckpoint loaded = Load(Save(checkpoint));
            CollectionAssert.AreEqual(Save(checkpoint), Save(loaded));
            Assert.AreEqual(checkpoint.Network, loaded.Network);
            Assert.AreEqual(checkpoint.State, loaded.State);
            Assert.AreEqual(checkpoint.Options with { ClassWeights = [] }, loaded.Options with { ClassWeights = [] });
            CollectionAssert.AreEqual(checkpoint.Options.ClassWeights.ToArray(), loaded.Options.ClassWeights.ToArray());
            CollectionAssert.AreEqual(checkpoint.History.ToArray(), loaded.History.ToArray());
            Assert.AreEqual(
                (checkpoint.Phase, checkpoint.Epoch, checkpoint.Step), (loaded.Phase, loaded.Epoch, loaded.Step));
        }
        Assert.AreEqual(("all", 2, 1L), (large.Phase, large.Epoch, large.Step));
    }

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void Every_loss_optimizer_and_schedule_comes_back(TrainingOptions options)
    {
        var checkpoint = new TrainingCheckpoint(small.Setup with { Options = options }, small.Position);
        Assert.AreEqual(options with { ClassWeights = [] }, Load(Save(checkpoint)).Options with { ClassWeights = [] });
    }

    static IEnumerable<object[]> Kinds =>
    [
        [new TrainingOptions { Loss = Loss.SoftmaxCrossEntropy }],
        [new TrainingOptions { Loss = Loss.BinaryCrossEntropy }],
        [new TrainingOptions { Loss = Loss.MeanSquaredError }],
        [new TrainingOptions { Loss = Loss.MeanAbsoluteError }],
        [new TrainingOptions { Loss = Loss.Huber(3) }],
        [new TrainingOptions { Optimizer = Optimizer.Sgd(0.5, 0.25, nesterov: true) }],
        [new TrainingOptions { Optimizer = Optimizer.Adam() }],
        [new TrainingOptions { Optimizer = Optimizer.AdamW(0.5, 0.25) }],
        [new TrainingOptions { Optimizer = Optimizer.AdamW(0.5, 0.25, DecayedParameters.All) }],
        [new TrainingOptions { Optimizer = Optimizer.Sgd(0.5) with { DecayedParameters = DecayedParameters.All } }],
        [new TrainingOptions { LearningRateSchedule = LearningRateSchedule.Constant }],
        [new TrainingOptions { LearningRateSchedule = LearningRateSchedule.Step(2) }],
        [new TrainingOptions { LearningRateSchedule = LearningRateSchedule.Cosine(0.5) }],
    ];

    [TestMethod]
    public void Loading_reads_to_the_last_byte_and_not_further()
    {
        byte[] bytes = Save(small);
        var stream = new TrickleStream([.. bytes, 1, 2, 3], 5);
        TrainingCheckpoint.Load(stream);
        Assert.AreEqual(bytes.Length, stream.Given);
    }

    [TestMethod]
    public void A_stream_cut_at_any_byte_is_an_InvalidDataException() =>
        Damage.EveryTruncationIsInvalid(Save(large), Load);

    [TestMethod]
    public void Any_flipped_bit_is_an_InvalidDataException() => Damage.EveryFlippedBitIsInvalid(Save(small), Load);

    [TestMethod]
    public void A_hundred_thousand_random_mutations_are_refused_or_change_nothing()
    {
        byte[] original = Save(large);
        var random = new Random(7);
        int refused = 0;
        for (int i = 0; i < 100_000; i++)
        {
            if (Damage.TryLoad(Mutation.Of(original, random), Load, OfEach) is not { } checkpoint)
                refused++;
            else
                CollectionAssert.AreEqual(original, Save(checkpoint));
        }
        Assert.IsTrue(refused is > 90_000 and < 100_000, $"{refused} were refused");
    }

    [TestMethod]
    public void Mutations_under_right_checksums_are_refused_or_give_a_checkpoint_that_could_have_been_saved()
    {
        byte[] original = Save(large);
        string definition = SafetensorsFile.Definition(original);
        int loaded = 0;
        var random = new Random(8);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = random.Next(6) switch
            {
                0 => SafetensorsFile.WithChecksum(Mutation.Of(original, random)),
                1 => SafetensorsFile.WithDefinition(original, Damage.MutateJson(definition, random)),
                2 => SafetensorsFile.WithDefinition(original, Damage.MutateValue(definition, random)),
                3 => SafetensorsFile.WithChecksum(SafetensorsFile.Of(
                    Damage.MutateValue(SafetensorsFile.Header(original), random), SafetensorsFile.Data(original))),
                _ => SafetensorsFile.WithChecksum(SafetensorsFile.Of(
                    SafetensorsFile.Header(original), Mutation.Of(SafetensorsFile.Data(original), random))),
            };
            if (Damage.TryLoad(bytes, Load, OfEach) is not { } checkpoint)
                continue;
            loaded++;
            byte[] again = Save(checkpoint);
            CollectionAssert.AreEqual(again, Save(Load(again)));
        }
        Assert.IsTrue(loaded > 1000, $"{loaded} were loaded");
    }

    [TestMethod]
    public void A_base_of_forty_megabytes_and_what_it_learned_come_back()
    {
        byte[] module = new byte[40_000_000];
        new Random(1).NextBytes(module);
        var shape = new TensorShape(4);
        Network network = Network.Of(
            shape, new TorchScriptLayer(ImmutableCollectionsMarshal.AsImmutableArray(module), shape, shape));
        NetworkState state = network.Initialize().With("torch_script", LayerState.OfTorchScript([1, 2, 3]));
        var large = new TrainingCheckpoint(
            small.Setup with { Network = network, Phases = [small.Setup.Phases[0] with { Network = network }] },
            RunPosition.StartOf(0, state, [], []));
        TrainingCheckpoint loaded = Load(Save(large));
        Assert.AreEqual(network, loaded.Network);
        Assert.AreEqual(state, loaded.State);
    }

    [TestMethod]
    public void Claims_of_gigabytes_in_a_small_file_allocate_next_to_nothing()
    {
        Network vast = Network.Input(40_000).Dense(50_000, useBias: false);
        var setup = small.Setup with { Network = vast, Phases = [small.Setup.Phases[0] with { Network = vast }] };
        string header = $"{{\"__metadata__\":{{\"{SafetensorsHeader.KindKey}\":\"checkpoint\","
            + $"\"{SafetensorsHeader.DefinitionKey}\":"
            + JsonValue.Create(Definition.ToText(
                new CheckpointDefinition(setup, small.Position, 1), TrainingCheckpoint.Json))!.ToJsonString() + "},"
            + SafetensorsFile.Entry("state/dense/kernel", "F32", "50000,40000", 0, 8_000_000_000) + ","
            + SafetensorsFile.Entry("optimizer/m", "F32", "2000000000", 8_000_000_000, 16_000_000_000) + "}";
        byte[] claim = SafetensorsFile.Of(header, new byte[20]);
        Assert.IsNull(Damage.TryLoad(claim, Load, OfEach));
        States.IsInvalid(() => Load(claim), "20 of 8000000000 bytes of tensor \"state/dense/kernel\" are there");
    }

    [TestMethod]
    public void Losses_that_are_not_finite_come_back()
    {
        EpochResult epoch = new()
        {
            Epoch = 1, Loss = double.NaN, ValidationLoss = double.PositiveInfinity, Metric = double.NegativeInfinity,
            LearningRate = 0.1,
        };
        var checkpoint = new TrainingCheckpoint(
            small.Setup, small.Position with { History = [epoch], LossSum = double.PositiveInfinity });
        TrainingCheckpoint loaded = Load(Save(checkpoint));
        Assert.AreEqual(epoch, loaded.History.Single());
        Assert.AreEqual(double.PositiveInfinity, loaded.Position.LossSum);
    }

    [TestMethod]
    public void Errors_say_what_is_wrong()
    {
        byte[] bytes = Save(small);
        States.IsInvalid(() => Load([]), "The file is empty, or truncated");
        States.IsInvalid(() => Load([.. new byte[20]]), "This is not a safetensors file, or it is damaged");
        With("\"batchnorm.version\":\"1\"", "\"batchnorm.version\":\"2\"", "version \"2\" of this library's format");
        States.IsInvalid(
            () => Load(SavedNetworks.Save(Runs.Network, Runs.State)), "This is not a checkpoint", "Network.Load reads it");
        With("\"state/norm/gamma\"", "\"state/norm/gama\"", "missing: \"state/norm/gamma\" of shape [3]");
        With("\"state/norm/gamma\"", "\"state/norm/beta2\"", "unexpected: \"state/norm/beta2\"");
        Defined("\"phase\":0", "\"phase\":1", "The phase is 1; it must be from 0 to 0.");
        Defined("\"epoch\":1,\"step\"", "\"epoch\":9,\"step\"", "The epoch is 9");
        Defined("\"optimizerSteps\":", "\"optimizerSteps\":-", "The number of the optimizer's steps is -");
        Defined("\"epochs\":3,\"learningRate\":0.5,", "\"epochs\":0,\"learningRate\":0.5,", "number of epochs must be positive");
        Defined("\"kind\":\"sgd\"", "\"kind\":\"adagrad\"", "not JSON that can be read");
        Defined("\"kind\":\"sgd\",", "\"kind\":\"sgd\",\"kind\":\"sgd\",", "not JSON that can be read");

        void With(string old, string with, string fragment)
        {
            string header = SafetensorsFile.Header(bytes);
            StringAssert.Contains(header, old);
            byte[] changed = SafetensorsFile.WithChecksum(SafetensorsFile.Of(
                header.Replace(old, with, StringComparison.Ordinal), SafetensorsFile.Data(bytes)));
            States.IsInvalid(() => Load(changed), fragment);
        }

        void Defined(string old, string with, string fragment)
        {
            string definition = SafetensorsFile.Definition(bytes);
            StringAssert.Contains(definition, old);
            byte[] changed = SafetensorsFile.WithDefinition(
                bytes, definition.Replace(old, with, StringComparison.Ordinal));
            States.IsInvalid(() => Load(changed), fragment);
        }
    }

    [TestMethod]
    public void A_file_is_written_at_every_epochs_end_and_never_stands_there_in_part()
    {
        string folder = Directory.CreateTempSubdirectory("checkpoint-").FullName;
        try
        {
            string path = Path.Combine(folder, "run.checkpoint");
            var seen = new List<int>();
            var reports = new Reports(report =>
            {
                if (!report.IsEndOfEpoch)
                    return;
                using FileStream file = File.OpenRead(path);
                TrainingCheckpoint checkpoint = TrainingCheckpoint.Load(file);
                Assert.AreEqual(-1, file.ReadByte());
                Assert.AreEqual(report.Epoch, checkpoint.History.Length);
                CollectionAssert.AreEqual(new[] { path }, Directory.GetFiles(folder));
                seen.Add(report.Epoch);
            });
            TrainingOptions options = Runs.Options with { CheckpointPath = path };
            TrainingResult result = Runs.Train(new RecordingEngine(), options, progress: reports);
            CollectionAssert.AreEqual(new[] { 1, 2, 3 }, seen);

            using FileStream last = File.OpenRead(path);
            TrainingCheckpoint loaded = TrainingCheckpoint.Load(last);
            Assert.IsNull(loaded.Options.CheckpointPath);
            TrainingResult resumed = NetworkTrainer.Resume(loaded, Runs.Data(10), engine: new RecordingEngine());
            Assert.AreEqual(result.State, resumed.State);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void A_file_that_cannot_be_replaced_is_an_error_and_leaves_no_part_behind()
    {
        string folder = Directory.CreateTempSubdirectory("checkpoint-").FullName;
        try
        {
            string path = Path.Combine(folder, "taken");
            Directory.CreateDirectory(path);
            Exception error = Assert.Throws<Exception>(
                () => Runs.Train(new RecordingEngine(), Runs.Options with { CheckpointPath = path }));
            Assert.IsTrue(error is IOException or UnauthorizedAccessException, error.ToString());
            CollectionAssert.AreEqual(Array.Empty<string>(), Directory.GetFiles(folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void A_resumed_run_goes_on_saving_itself_where_it_is_told()
    {
        string folder = Directory.CreateTempSubdirectory("checkpoint-").FullName;
        try
        {
            string path = Path.Combine(folder, "run.checkpoint");
            NetworkTrainer.Resume(small.WithCheckpointPath(path), Runs.Data(12));
            using FileStream file = File.OpenRead(path);
            Assert.AreEqual(3, TrainingCheckpoint.Load(file).History.Length);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>In the middle of an epoch, behind one that was validated.</summary>
    static TrainingCheckpoint Canceled(TrainingOptions options, FineTuningPlan? plan)
    {
        using var source = new CancellationTokenSource();
        int steps = plan is null ? 4 : 3 * 3 + 1;
        var engine = CountingEngine.CancelingAfter(steps, source);
        (Network network, NetworkState state, TrainingData data) = (Runs.Network, Runs.State, Runs.Data(12));
        return Assert.ThrowsExactly<TrainingCanceledException>(() => _ = plan is null
            ? NetworkTrainer.Train(network, state, data, options, null, engine, null, source.Token)
            : NetworkTrainer.Train(network, state, data, options, plan, null, engine, null, source.Token)).Checkpoint;
    }

    static byte[] Save(TrainingCheckpoint checkpoint)
    {
        var stream = new MemoryStream();
        checkpoint.Save(stream);
        return stream.ToArray();
    }

    static TrainingCheckpoint Load(byte[] bytes) => TrainingCheckpoint.Load(new TrickleStream(bytes, int.MaxValue));
}
