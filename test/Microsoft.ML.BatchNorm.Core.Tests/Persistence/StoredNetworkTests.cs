namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>A file that version 1 wrote is kept beside the tests, and loads for ever.</summary>
[TestClass]
public class StoredNetworkTests
{
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
        .Append(Network.Input(1, 3, 1).GlobalAveragePool2D()).Flatten().Dropout(0.25)
        .Dense(2, kernelInitializer: KernelInitializer.GlorotNormal)
        .BatchNormalization(new() { MovingStatistics = MovingStatistics.Population, VirtualBatchSize = 16 })
        .Sigmoid()
        .Add(new DenseLayer(1)
        {
            KernelInitializer = KernelInitializer.HeUniform,
            BiasInitializer = KernelInitializer.Of(0.5),
        })
        .Tanh().Freeze("base", "dense_1");

    static readonly NetworkState state = new(new Dictionary<string, LayerState>
    {
        ["stem"] = new([.. Enumerable.Range(0, 24).Select(i => i * 0.25f - 3)]),
        ["bn"] = new(new BatchNormalizationState(
            [0.1, -2.5], [0, 1.0 / 3], [], [0.3f, -1e-30f], 1234567890123, 0.0625,
            new RenormStatistics([0.03, 1.5], [-0.2, 0.7], [0, 1.25]), null)),
        ["base/conv2d"] = new([1, -2, 3, 0.1f, -0f, float.Epsilon, 7, 8], [float.MaxValue]),
        ["dense"] = new([1.5f, -2.5f], [0.5f, 0.25f]),
        ["batch_normalization"] = new(new BatchNormalizationState(
            [1e300, 2], [1e-300, 3], [1, -0.7f], [0, 0.3f], 3, 0, null,
            new PopulationMoments([4, 0], [0.5, 1e-9], [1e283, 0], [3e-17, 0]))),
        ["dense_1"] = new([9, 10], [11]),
    });

    [TestMethod]
    public void A_network_s_file_of_version_1_has_every_layer_option_switch_and_value()
    {
        SavedNetwork loaded = SavedNetworks.Load(Bytes());
        Assert.AreEqual(network, loaded.Network);
        Assert.AreEqual(state, loaded.State);
        Assert.AreEqual("base/conv2d", loaded.Network.Nodes.First(node => !node.IsTrainable).Path);
    }

    [TestMethod]
    public void Saving_what_the_file_holds_gives_the_same_bytes() =>
        CollectionAssert.AreEqual(Bytes(), SavedNetworks.Save(network, state));

    static byte[] Bytes() =>
        File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Persistence", "Files", "network-1.bin"));
}
