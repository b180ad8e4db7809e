namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>A file of each kind that version 1 wrote is kept beside the tests, and loads for ever.</summary>
[TestClass]
public class StoredFileTests
{
    static readonly BatchNormalizationState state = new(
        [0.1, -2.5, 1e300], [0, 1.0 / 3, 1e-300], [1, -0.7f, 1e30f], [0, 0.3f, -1e-30f], 1234567890123, 0.0625,
        new RenormStatistics([0.03, 1.5, 2], [-0.2, 0.7, 9], [0, 1.25, 7.75]),
        new PopulationMoments([4, 0, 3], [0.5, 0, 1e-9], [-5e-18, 0, 1e283], [3e-17, 0, -1e-26]));

    static readonly Network network = Network.Input(2, 6, 5)
        .Conv2D(2, (3, 2), stride: (2, 1), padding: (1, 0), useBias: false, KernelInitializer.HeNormal, name: "stem")
        .BatchNormalization(
            new()
            {
                Momentum = 0.75,
                Epsilon = 1e-4,
                Scale = false,
                UpdateStatistics = false,
                VarianceConvention = VarianceConvention.Sample,
                NonFinite = NonFinite.Ignore,
                Renorm = new RenormOptions { RMin = 0.25, RMax = 4, DMax = 5, Momentum = 0.875 },
                MovingMeanInitializer = Initializer.Uniform(-1, 2, seed: 7),
                BetaInitializer = Initializer.Normal(0.5, 2, seed: 8),
                BetaRegularizer = Regularizer.L1L2(0.1, 0.2),
                BetaConstraint = Constraint.MinMaxNorm(0.5, 2, 0.25),
            },
            axis: 1, name: "bn")
        .ReLU().MaxPool2D((2, 2), stride: (1, 2), padding: (1, 0)).AveragePool2D(1)
        .Append(
            Network.Input(2, 4, 2).WithPreset(NetworkPreset.PyTorch).Conv2D(1, 2)
                .Append(Network.Input(1, 3, 1).LeakyReLU(0.125).Gelu(), "tief 深"),
            "base")
        .Concat(Network.Input(1, 3, 1), Network.Input(1, 3, 1).Sigmoid())
        .Residual(Network.Input(2, 3, 1).Conv2D(2, 1, useBias: false))
        .Append(Network.Input(2, 3, 1).GlobalAveragePool2D()).Flatten().Dropout(0.25)
        .Dense(2, kernelInitializer: KernelInitializer.GlorotNormal)
        .BatchNormalization(new() { MovingStatistics = MovingStatistics.Population, VirtualBatchSize = 16 })
        .Sigmoid()
        .Add(new DenseLayer(1)
        {
            KernelInitializer = KernelInitializer.HeUniform,
            BiasInitializer = KernelInitializer.Of(0.5),
        })
        .Tanh().Add(new TorchScriptLayer([1, 2, 3, 250], new(1), new(2)))
        .Freeze("base", "dense_1");

    static readonly NetworkState learned = new(new Dictionary<string, LayerState>
    {
        ["stem"] = new([.. Enumerable.Range(0, 24).Select(i => i * 0.25f - 3)]),
        ["bn"] = new(new BatchNormalizationState(
            [0.1, -2.5], [0, 1.0 / 3], [], [0.3f, -1e-30f], 1234567890123, 0.0625,
            new RenormStatistics([0.03, 1.5], [-0.2, 0.7], [0, 1.25]), null)),
        ["base/conv2d"] = new([1, -2, 3, 0.1f, -0f, float.Epsilon, 7, 8], [float.MaxValue]),
        ["residual/conv2d"] = new([1, 0.5f, -0.25f, 2]),
        ["dense"] = new([1.5f, -2.5f, 3.5f, -4.5f], [0.5f, 0.25f]),
        ["batch_normalization"] = new(new BatchNormalizationState(
            [1e300, 2], [1e-300, 3], [1, -0.7f], [0, 0.3f], 3, 0, null,
            new PopulationMoments([4, 0], [0.5, 1e-9], [1e283, 0], [3e-17, 0]))),
        ["dense_1"] = new([9, 10], [11]),
        ["torch_script"] = LayerState.OfTorchScript([9, 8]),
    });

    static readonly TrainingCheckpoint checkpoint = Checkpoint();

    [TestMethod]
    public void A_state_s_file_of_version_1_has_every_value()
    {
        SavedBatchNormalization loaded = BatchNormalizationState.Load(Open("state-1.safetensors"));
        Assert.AreEqual(new SavedBatchNormalization(StoredOptions.Unusual, state), loaded);
    }

    [TestMethod]
    public void A_file_of_weights_of_version_1_under_PyTorch_s_names_has_every_value()
    {
        SavedBatchNormalization loaded =
            BatchNormalizationState.LoadSafetensors(Open("pytorch-1.safetensors"), "bn1.");
        Assert.AreEqual(Plain(state.BatchesSeen, null), loaded.State);
        Assert.AreEqual(StoredOptions.Unusual with { Renorm = null }, loaded.Options);
    }

    [TestMethod]
    public void A_file_of_weights_of_version_1_under_Keras_s_names_has_every_value()
    {
        SavedBatchNormalization loaded = BatchNormalizationState.LoadSafetensors(Open("keras-1.safetensors"));
        Assert.AreEqual(Plain(0, state.Renorm), loaded.State);
        Assert.AreEqual(StoredOptions.Unusual, loaded.Options);
    }

    [TestMethod]
    public void A_record_of_a_shard_of_version_1_has_every_value()
    {
        PartialStatistics loaded = PartialStatistics.Load(Open("partial-1.safetensors"));
        Assert.AreEqual("teil 深/3", loaded.Shard);
        Agreement.SameBits(
            [4, 0, 3, 0.1, 0, 1e300, 0.5, 0, 1e-9, -5e-18, 0, 1e283, 3e-17, 0, -1e-26], loaded.Statistics.Packed);
    }

    [TestMethod]
    public void A_network_s_file_of_version_1_has_every_layer_option_switch_and_value()
    {
        SavedNetwork loaded = Network.Load(Open("network-1.safetensors"));
        Assert.AreEqual(network, loaded.Network);
        Assert.AreEqual(learned, loaded.State);
        Assert.AreEqual("base/conv2d", loaded.Network.Nodes.First(node => !node.IsTrainable).Path);
    }

    [TestMethod]
    public void A_checkpoint_of_version_1_has_every_option_position_and_value()
    {
        TrainingCheckpoint loaded = TrainingCheckpoint.Load(Open("checkpoint-1.safetensors"));
        Assert.AreEqual(network, loaded.Network);
        CollectionAssert.AreEqual(checkpoint.Setup.Phases, loaded.Setup.Phases);
        Assert.AreEqual(checkpoint.Setup.DataChecksum, loaded.Setup.DataChecksum);
        Assert.AreEqual(checkpoint.Options with { ClassWeights = [] }, loaded.Options with { ClassWeights = [] });
        CollectionAssert.AreEqual(checkpoint.Options.ClassWeights, loaded.Options.ClassWeights);
        CollectionAssert.AreEqual(checkpoint.History, loaded.History);
        CollectionAssert.AreEqual(checkpoint.StatisticsHistory, loaded.StatisticsHistory);
        Assert.AreEqual(learned, loaded.State);
        (RunPosition expected, RunPosition actual) = (checkpoint.Position, loaded.Position);
        Assert.AreEqual(
            (expected.Phase, expected.Epoch, expected.Step, expected.LossSum, expected.Best),
            (actual.Phase, actual.Epoch, actual.Step, actual.LossSum, actual.Best));
        Assert.AreEqual(expected.Optimizer.Steps, actual.Optimizer.Steps);
        CollectionAssert.AreEqual(
            expected.Optimizer.Moments.Keys.ToArray(), actual.Optimizer.Moments.Keys.ToArray());
        foreach ((string name, var moment) in expected.Optimizer.Moments)
            Agreement.SameBits<float>(moment.AsSpan(), actual.Optimizer.Moments[name].AsSpan());
    }

    [TestMethod]
    public void Saving_what_the_files_hold_gives_the_same_bytes()
    {
        foreach ((string name, byte[] bytes) in Files())
            CollectionAssert.AreEqual(File.ReadAllBytes(Path(name)), bytes, name);
    }

    /// <summary>What the files hold.</summary>
    static IEnumerable<(string Name, byte[] Bytes)> Files()
    {
        yield return ("state-1.safetensors", Bytes(stream => state.Save(stream, StoredOptions.Unusual)));
        yield return ("pytorch-1.safetensors", Bytes(stream => Plain(state.BatchesSeen, null).SaveSafetensors(
            stream, StoredOptions.Unusual with { Renorm = null }, "bn1.")));
        yield return ("keras-1.safetensors", Bytes(stream => state.SaveSafetensors(
            stream, StoredOptions.Unusual, "", TensorNaming.Keras)));
        yield return ("network-1.safetensors", Bytes(stream => network.Save(stream, learned)));
        yield return ("checkpoint-1.safetensors", Bytes(checkpoint.Save));
    }

    static byte[] Bytes(Action<Stream> save)
    {
        var stream = new MemoryStream();
        save(stream);
        return stream.ToArray();
    }

    static BatchNormalizationState Plain(long batches, RenormStatistics? renorm) => new(
        state.MovingMean.ToArray(), state.MovingVariance.ToArray(), state.OwnGamma, state.OwnBeta, batches, 0,
        renorm, state.Population);

    static TrainingCheckpoint Checkpoint()
    {
        Network frozen = network.Freeze("stem");
        var options = new TrainingOptions
        {
            Loss = Loss.Huber(0.75),
            Optimizer = new AdamWOptimizer { LearningRate = 0.25, WeightDecay = 0.5, Beta1 = 0.75, Beta2 = 0.875 },
            LearningRateSchedule = LearningRateSchedule.Step(3, 0.1).WithWarmUp(2),
            Epochs = 7,
            BatchSize = 3,
            Shuffle = false,
            Seed = -5,
            GradientClipNorm = 2.5,
            ClassWeights = [0.1, 2],
            ValidationSplit = 0.25,
            EarlyStopping = new EarlyStopping { Patience = 9, MinimumImprovement = 0.125, RestoreBest = true },
            RecomputeStatistics = true,
            EvaluateTrainingData = true,
            RecordStatistics = true,
        };
        EpochResult epoch = new()
        {
            Phase = "head", Epoch = 1, Loss = double.NaN, ValidationLoss = double.PositiveInfinity,
            Metric = double.NegativeInfinity, ValidationMetric = 1.0 / 3, LearningRate = 1e-300,
        };
        return new TrainingCheckpoint(
            new RunSetup(
                network, options, [new("head", 3, 0.5, frozen), new("all \"深\"", 4, 0.25, network)], 0xFEDCBA98),
            new RunPosition
            {
                Phase = 1,
                Epoch = 2,
                Step = 5,
                LossSum = 0.1 + 0.2,
                State = learned,
                Optimizer = new OptimizerState(77, OptimizerState.Empty.Moments
                    .Add("dense/kernel/m", [1, -0.5f]).Add("dense/kernel/v", [float.Epsilon, 3e38f])
                    .Add("dense/bias/m", [])),
                Best = new BestEpoch(2, 0.7)
                {
                    State = learned.With("dense", new([-1, -2, -3, -4], [3, 4])),
                },
                History = [epoch, new() { Epoch = 2, Loss = 0.1, LearningRate = 0.2 }],
                Statistics =
                [
                    new()
                    {
                        Phase = "head", Epoch = 1, Layer = "bn", MeanMedian = 0.1, MeanMaximum = double.PositiveInfinity,
                        VarianceMedian = 0, VarianceMaximum = 1e-5,
                    },
                ],
            });
    }

    static FileStream Open(string name) => File.OpenRead(Path(name));

    static string Path(string name) =>
        System.IO.Path.Combine(AppContext.BaseDirectory, "Persistence", "Files", name);
}
