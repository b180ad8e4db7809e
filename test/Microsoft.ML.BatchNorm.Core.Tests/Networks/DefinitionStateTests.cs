namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class DefinitionStateTests
{
    const int Inputs = 300, Units = 200;

    static IEnumerable<object[]> Uniform =>
    [
        ["glorot", KernelInitializer.GlorotUniform, Math.Sqrt(6.0 / (Inputs + Units))],
        ["he", KernelInitializer.HeUniform, Math.Sqrt(6.0 / Inputs)],
        ["pytorch", KernelInitializer.PyTorch, 1 / Math.Sqrt(Inputs)],
    ];

    [TestMethod]
    [DynamicData(nameof(Uniform))]
    public void A_uniform_kernel_fills_its_limits_evenly(string name, object initializer, double limit)
    {
        float[] kernel = Kernel((KernelInitializer)initializer);
        Assert.IsTrue(kernel.All(value => Math.Abs(value) <= (float)limit), name);
        Assert.AreEqual(limit, kernel.Max(), limit * 1e-3);
        Assert.AreEqual(-limit, kernel.Min(), limit * 1e-3);
        Assert.AreEqual(0, kernel.Average(), limit * 0.01);
        Assert.AreEqual(limit * limit / 3, kernel.Average(value => (double)value * value), limit * limit * 0.01);
        Assert.AreEqual(0.25, kernel.Count(value => value > limit / 2) / (double)kernel.Length, 0.01);
    }

    [TestMethod]
    [DataRow(true, 2.0 / (Inputs + Units))]
    [DataRow(false, 2.0 / Inputs)]
    public void A_normal_kernel_has_its_variance_and_is_cut_off_at_two_deviations(bool isGlorot, double variance)
    {
        float[] kernel = Kernel(isGlorot ? KernelInitializer.GlorotNormal : KernelInitializer.HeNormal);
        // The deviation of a standard normal that is cut off at ±2, as Keras has it.
        double cut = 2 * Math.Sqrt(variance) / 0.87962566103423978;
        Assert.AreEqual(variance, kernel.Average(value => (double)value * value), variance * 0.02);
        Assert.IsTrue(kernel.Max() <= (float)cut && kernel.Max() > cut * 0.99);
        Assert.IsTrue(kernel.Min() >= (float)-cut && kernel.Min() < cut * -0.99);
        // Of a normal within two deviations, 71.5 % lie within one.
        Assert.AreEqual(0.7152, kernel.Count(value => Math.Abs(value) < cut / 2) / (double)kernel.Length, 0.01);
    }

    [TestMethod]
    public void A_convolution_counts_its_kernel_s_area_among_inputs_and_outputs()
    {
        LayerState state = Network.Input(20, 9, 9).Conv2D(30, (3, 5), useBias: false).Initialize()["conv2d"];
        double limit = Math.Sqrt(6.0 / ((20 + 30) * 15));
        Assert.AreEqual(limit, state.Kernel.ToArray().Max(), limit * 0.01);
        LayerState torch = Network.Input(20, 9, 9).WithPreset(NetworkPreset.PyTorch).Conv2D(3000, (3, 5))
            .Initialize()["conv2d"];
        Assert.AreEqual(1 / Math.Sqrt(300), torch.Kernel.ToArray().Max(), 1e-3);
        Assert.AreEqual(1 / Math.Sqrt(300), torch.Bias.ToArray().Max(), 1e-3);
        Assert.AreEqual(-1 / Math.Sqrt(300), torch.Bias.ToArray().Min(), 1e-3);
    }

    [TestMethod]
    public void The_presets_begin_as_their_frameworks_do()
    {
        Network unsaid = Network.Input(9).Dense(1000).BatchNormalization().LeakyReLU();
        Network keras = Network.Input(9).WithPreset(NetworkPreset.Keras).Dense(1000).BatchNormalization().LeakyReLU();
        Network torch = Network.Input(9).WithPreset(NetworkPreset.PyTorch).Dense(1000).BatchNormalization().LeakyReLU();
        Assert.IsTrue(keras.Initialize()["dense"].Bias.ToArray().All(value => value == 0));
        Assert.AreEqual(1 / 3.0, torch.Initialize()["dense"].Bias.ToArray().Max(), 0.01);
        Assert.AreEqual(1 / 3.0, torch.Initialize()["dense"].Kernel.ToArray().Max(), 0.01);
        Assert.AreEqual(new BatchNormalizationOptions { Axis = 1 }, Options(unsaid));
        Assert.AreEqual(BatchNormalizationOptions.Keras with { Axis = 1 }, Options(keras));
        Assert.AreEqual(BatchNormalizationOptions.PyTorch with { Axis = 1 }, Options(torch));
        Assert.AreEqual((null, 0.3, 0.01), (Slope(unsaid), Slope(keras), Slope(torch)));
        Assert.AreEqual(KernelInitializer.GlorotUniform, ((DenseLayer)keras.Nodes[0].Layer).KernelInitializer);
        BatchNormalizationState state = keras.Initialize()["batch_normalization"].BatchNormalization!;
        Assert.AreEqual((1f, 0f), (state.Gamma[7], state.Beta[7]));
        Assert.AreEqual((0.0, 1.0), (state.MovingMean[7], state.MovingVariance[7]));

        static BatchNormalizationOptions Options(Network network) =>
            ((BatchNormalizationLayer)network.Nodes[1].Layer).Options;

        static double? Slope(Network network) => ((ActivationLayer)network.Nodes[2].Layer).NegativeSlope;
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_bits_and_another_seed_or_layer_others()
    {
        Network network = Network.Input(4).Dense(4).Dense(4).Append(Network.Input(4).Dense(4));
        NetworkState state = network.Initialize(5);
        Assert.AreEqual(state, network.Initialize(5));
        float[][] kernels =
        [
            .. new[] { state, network.Initialize(), network.Initialize(-5), network.Initialize(6) }
                .SelectMany(each => each.Paths.Order().Select(path => each[path].Kernel.ToArray())),
        ];
        Assert.AreEqual(12, kernels.Select(kernel => kernel[0]).Distinct().Count());
        Network between = Network.Input(4).Dense(4).BatchNormalization().Dense(4);
        Assert.AreEqual(state["dense_1"], between.Initialize(5)["dense_1"]);
    }

    [TestMethod]
    public void First_values_of_many_layers_are_spread_evenly()
    {
        var network = Network.Of(
            new TensorShape(1), Enumerable.Range(0, 2000).Select(
                _ => new DenseLayer(1) { UseBias = false, KernelInitializer = KernelInitializer.PyTorch }));
        NetworkState state = network.Initialize();
        float[] first = [.. network.Nodes.Select(node => state[node.Path].Kernel[0])];
        Assert.AreEqual(0, first.Average(), 0.05);
        double correlation = first.Zip(first[1..], (left, right) => (double)left * right).Average()
            / first.Average(value => (double)value * value);
        Assert.AreEqual(0, correlation, 0.1);
    }

    [TestMethod]
    public void A_state_is_taken_over_where_path_and_shapes_are_the_same()
    {
        Network before = Network.Input(4).Dense(3, name: "a").BatchNormalization(name: "b").Dense(2, name: "head");
        NetworkState trained = Persistence.SavedNetworks.State(before);
        Network after = before.Before("head").Dense(5, name: "head").Dense(2, name: "new");
        NetworkState state = after.Initialize(trained, seed: 3), fresh = after.Initialize(3);
        Assert.AreEqual(trained["a"], state["a"]);
        Assert.AreEqual(trained["b"], state["b"]);
        Assert.AreEqual(fresh["head"], state["head"]);
        Assert.AreEqual(fresh["new"], state["new"]);
        after.CheckState(state);
        Network renamed = Network.Input(4).Dense(3, useBias: false, name: "a").Dense(3, name: "b");
        Assert.AreEqual(renamed.Initialize(3), renamed.Initialize(trained, 3));
        Assert.ThrowsExactly<ArgumentNullException>(() => after.Initialize(null!));
    }

    [TestMethod]
    public void Every_layer_that_a_state_does_not_fit_is_named_at_once()
    {
        Network network = Network.Input(3).Dense(2, name: "a").Dense(2, useBias: false, name: "b")
            .BatchNormalization(name: "c").BatchNormalization(new() { Scale = false }, name: "d")
            .BatchNormalization(new() { Renorm = new() }, name: "e")
            .Dense(2, name: "f").BatchNormalization(name: "g").Dense(1, name: "h").ReLU("i");
        var normalization = new LayerState(new BatchNormalizationState([0, 0], [1, 1], [1, 1], [0, 0]));
        var state = new NetworkState(new Dictionary<string, LayerState>
        {
            ["a"] = new([1, 2, 3]),
            ["b"] = new([1, 2, 3, 4], [1, 2]),
            ["c"] = new(new BatchNormalizationState([0], [1], [1], [0])),
            ["d"] = normalization,
            ["e"] = normalization,
            ["f"] = normalization,
            ["g"] = new([1]),
            ["i"] = new([1]),
            ["z"] = new([1]),
        });
        string message = Assert.ThrowsExactly<ArgumentException>(() => network.CheckState(state)).Message;
        StringAssert.StartsWith(
            message,
            "The state does not fit the network: 'a' has 3 values of kernel instead of 6; "
            + "'b' has 2 values of bias instead of 0; 'c' has 1 values of gamma instead of 2; "
            + "'d' has 2 values of gamma instead of 0; 'e' has 0 values of moving_stddev instead of 2; "
            + "'f' has batches_seen, beta, gamma, initial_weight, moving_mean, moving_variance; a Dense has kernel, "
            + "bias; 'g' has kernel; a BatchNormalization has gamma, beta, moving_mean, moving_variance; "
            + "'h' is missing; 'i' is not a layer of the network with parameters; "
            + "'z' is not a layer of the network with parameters.");
        network.CheckState(network.Initialize());
        Assert.ThrowsExactly<ArgumentNullException>(() => network.CheckState(null!));
    }

    [TestMethod]
    public void A_layer_s_tensors_are_said_once()
    {
        Network network = Network.Input(2, 4, 4).Conv2D(3, 3).BatchNormalization(new() { UpdateStatistics = false })
            .ReLU().Flatten().Dense(5, useBias: false);
        string[] tensors = [.. network.Nodes.SelectMany(node => node.Tensors
            .Where(tensor => !tensor.IsOptional)
            .Select(tensor =>
                $"{node.Path} {tensor.Name} {tensor.Shape} {tensor.Type} {tensor.Role} {tensor.IsTrained}"))];
        CollectionAssert.AreEqual(
            (string[])[
                "conv2d kernel [3, 2, 3, 3] F32 Kernel True", "conv2d bias [3] F32 Affine True",
                "batch_normalization gamma [3] F32 Affine True", "batch_normalization beta [3] F32 Affine True",
                "batch_normalization moving_mean [3] F64 Statistic False",
                "batch_normalization moving_variance [3] F64 Statistic False",
                "dense kernel [5, 12] F32 Kernel True",
            ], tensors);
        NetworkState state = network.Initialize();
        foreach (NetworkNode node in network.Nodes.Where(node => node.Tensors.Any()))
        {
            foreach (TensorSpec tensor in node.Tensors.Where(tensor => !tensor.IsOptional))
                Assert.AreEqual(tensor.Shape!.Size, state[node.Path].LengthOf(tensor.Name), tensor.Name);
            Assert.IsTrue(state[node.Path].Names.All(node.Tensors.Select(tensor => tensor.Name).Contains), node.Path);
        }
        Assert.IsFalse(network.Freeze("dense").GetNode("dense").Tensors.Single().IsTrained);
    }

    [TestMethod]
    public void A_batch_normalization_s_state_is_the_same_as_tensors()
    {
        var options = new BatchNormalizationOptions
        {
            Renorm = new(),
            GammaInitializer = Initializer.Uniform(1, 2, seed: 3),
        };
        BatchNormalizationState fresh = BatchNorm.BatchNormalization.Initialize(options, 3);
        BatchNormalizationState[] states =
        [
            fresh, BatchNorm.BatchNormalization.Initialize(options with { Renorm = null, Center = false }, 3),
            fresh.WithPopulation(BatchStatistics.Of<float>(
                new ChannelLayout([4, 3], 1), [1e8f, 2, 3, 1e8f + 8, 5, 6, 7, 8, 9, 10, 11, 12], mask: [], NonFinite.Throw, 1)),
        ];
        foreach (BatchNormalizationState state in states)
        {
            var tensors = LayerState.OfTensors(new LayerState(state).Tensors);
            Assert.AreEqual(state, tensors.BatchNormalization);
            Assert.AreEqual(new LayerState(state), tensors);
            Assert.AreEqual(new LayerState(state).GetHashCode(), tensors.GetHashCode());
        }
        Assert.IsNull(new LayerState([1f]).BatchNormalization);
        CollectionAssert.AreEqual(
            fresh.Gamma.ToArray(),
            new BatchNormalizationLayer(options).Initialize(new(3), new(1)).Get<float>("gamma").ToArray());
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => new LayerState([1f], [2f]).Get<double>("kernel")).Message,
            "The layer has no tensor 'kernel' of Double; it has bias (Single), kernel (Single).");
    }

    [TestMethod]
    public void A_network_s_state_is_a_value_of_checked_parts()
    {
        var layer = new LayerState([1, 2], [3]);
        var state = new NetworkState([KeyValuePair.Create("a", layer)]);
        var same = new NetworkState([KeyValuePair.Create("a", new LayerState([1, 2], [3]))]);
        Assert.AreEqual(state, same);
        Assert.AreEqual(state.GetHashCode(), same.GetHashCode());
        Assert.AreNotEqual(state, state.With("a", new LayerState([1, 2], [-3])));
        Assert.AreNotEqual(state, state.With("b", layer));
        Assert.AreNotEqual(new LayerState([0f]), new LayerState([-0f]));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => _ = state["b"]).Message, "no layer 'b'; it has a.");
        Assert.IsNull(state.TryGet("b"));
        Assert.ThrowsExactly<ArgumentException>(() => new LayerState([]));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => new LayerState([1, float.NaN])).Message, "kernel[1] is NaN");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => new LayerState([1], [float.PositiveInfinity])).Message,
            "bias[0] is Infinity");
        Assert.ThrowsExactly<ArgumentNullException>(() => new LayerState((BatchNormalizationState)null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => new NetworkState(null!));
        Assert.ThrowsExactly<ArgumentNullException>(
            () => new NetworkState([KeyValuePair.Create("a", (LayerState)null!)]));
        Assert.ThrowsExactly<ArgumentException>(
            () => new NetworkState([KeyValuePair.Create("a", layer), KeyValuePair.Create("a", layer)]));
        Assert.ThrowsExactly<ArgumentNullException>(() => state.With("a", null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => state.With(null!, layer));
    }

    static float[] Kernel(KernelInitializer initializer) =>
        Network.Input(Inputs).Dense(Units, kernelInitializer: initializer).Initialize(2)["dense"].Kernel.ToArray();
}
