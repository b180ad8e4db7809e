namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Which ε, momentum, statistics and variance a layer from a file computes with.</summary>
[TestClass]
public class StoredOptionsTests
{
    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras;
    static readonly BatchNormalizationOptions torch = BatchNormalizationOptions.PyTorch;
    static readonly Network unsaid = Network.Input(2).Dense(3, name: "fc").BatchNormalization(name: "bn").LeakyReLU();

    [TestMethod]
    public void A_layer_under_PyTorch_s_names_has_PyTorch_s_options()
    {
        SavedBatchNormalization saved = BatchNormalizationState.LoadSafetensors(new MemoryStream(Layer(
            "running_mean", "running_var", "weight", "bias")));
        Assert.AreEqual(torch, saved.Options);
        float[] y = new float[3];
        BatchNormalization.Forward(
            saved.Options, saved.State, ChannelLayout.Features(1, 3), [0.52f, 0.7f, 2.5f], y, training: false);
        Agreement.Within(1e-4, [1.9069, 1.9990, 2.0000], y);
    }

    [TestMethod]
    public void A_layer_under_Keras_s_names_has_Keras_s_options_with_gamma_and_beta_as_they_are_there()
    {
        Assert.AreEqual(keras, Load("moving_mean", "moving_variance", "gamma", "beta"));
        Assert.AreEqual(
            keras with { Scale = false, Center = false }, Load("moving_mean", "moving_variance", "a", "b"));

        static BatchNormalizationOptions Load(params string[] names) =>
            BatchNormalizationState.LoadSafetensors(new MemoryStream(Layer(names))).Options;
    }

    [TestMethod]
    public void A_layer_of_ours_comes_back_with_its_options_whatever_the_names_imply()
    {
        foreach (BatchNormalizationOptions options in (BatchNormalizationOptions[])
            [StoredOptions.Unusual, StoredOptions.Bare, keras, torch, torch with { Epsilon = 1.0 / 3 }])
        {
            BatchNormalizationState state = Sample.State(options, 3);
            using MemoryStream binary = new(), keras = new(), torch = new();
            state.Save(binary, options);
            binary.Position = 0;
            Assert.AreEqual(new SavedBatchNormalization(options, state), BatchNormalizationState.Load(binary));
            state.SaveSafetensors(keras, options, "a.", TensorNaming.Keras);
            keras.Position = 0;
            Assert.AreEqual(options, BatchNormalizationState.LoadSafetensors(keras, "a.").Options);
            if (options.Renorm is not null)
                continue;
            state.SaveSafetensors(torch, options, "a.");
            torch.Position = 0;
            Assert.AreEqual(options, BatchNormalizationState.LoadSafetensors(torch, "a.").Options);
        }
    }

    [TestMethod]
    public void What_options_leave_unsaid_is_written_as_it_is_computed_with()
    {
        var options = new BatchNormalizationOptions { Momentum = 0.5 };
        using var file = new MemoryStream();
        Sample.State(options, 2).SaveSafetensors(file, options);
        file.Position = 0;
        Assert.AreEqual(keras with { Momentum = 0.5 }, BatchNormalizationState.LoadSafetensors(file).Options);
    }

    [TestMethod]
    public void A_state_is_not_saved_with_options_that_it_does_not_fit()
    {
        BatchNormalizationState state = Sample.State(keras with { Scale = false }, 2);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => state.Save(Stream.Null, keras)).Message, "Scale = True");
        Assert.ThrowsExactly<ArgumentException>(() => state.SaveSafetensors(Stream.Null, keras));
    }

    [TestMethod]
    [DataRow(TensorNaming.PyTorch, 1e-5, 0.01)]
    [DataRow(TensorNaming.Keras, 1e-3, 0.3)]
    public void A_network_that_says_nothing_takes_what_a_foreign_file_s_names_imply(
        TensorNaming naming, double epsilon, double slope)
    {
        SavedNetwork loaded = unsaid.LoadSafetensors(new MemoryStream(Foreign(naming)), naming);
        NetworkPreset preset = naming == TensorNaming.PyTorch ? NetworkPreset.PyTorch : NetworkPreset.Keras;
        Assert.AreEqual(
            Network.Input(2).Dense(3, name: "fc").WithPreset(preset).BatchNormalization(name: "bn").LeakyReLU(),
            loaded.Network);
        // The dense layer gives 0.02, 0.2 and −1 for this row; the mean is 0, γ 1 and β 0.
        float[] outputs = new float[3];
        new NetworkModel(loaded.Network, loaded.State).Predict([1, 0], outputs);
        double[] variance = [1e-4, 1e-2, 1];
        Agreement.Within(
            1e-5,
            [
                0.02 / Math.Sqrt(variance[0] + epsilon), 0.2 / Math.Sqrt(variance[1] + epsilon),
                -slope / Math.Sqrt(variance[2] + epsilon),
            ],
            outputs);
    }

    [TestMethod]
    public void What_a_network_says_wins_over_what_names_imply()
    {
        Network said = Network.Input(2).Dense(3, name: "fc")
            .BatchNormalization(new() { Epsilon = 0.25 }, name: "bn").LeakyReLU(0.5);
        Network loaded = said.LoadSafetensors(new MemoryStream(Foreign(TensorNaming.PyTorch))).Network;
        Assert.AreEqual(torch with { Epsilon = 0.25, Axis = 1 }, Options(loaded));
        Assert.AreEqual(0.5, ((ActivationLayer)loaded.Nodes[2].Layer).NegativeSlope);

        Network preset = Network.Input(2).WithPreset(NetworkPreset.Keras).Dense(3, name: "fc")
            .BatchNormalization(name: "bn").LeakyReLU();
        Assert.AreEqual(
            preset, preset.LoadSafetensors(new MemoryStream(Foreign(TensorNaming.PyTorch))).Network);
    }

    [TestMethod]
    public void A_network_takes_what_a_file_of_ours_states_whatever_its_names_imply()
    {
        NetworkState state = unsaid.Initialize(seed: 1);
        using var file = new MemoryStream(SavedNetworks.SaveSafetensors(unsaid, state));
        SavedNetwork loaded = unsaid.LoadSafetensors(file);
        Assert.AreEqual(keras with { Axis = 1 }, Options(loaded.Network));
        Assert.AreEqual(
            (0.3, NetworkPreset.Keras),
            (((ActivationLayer)loaded.Network.Nodes[2].Layer).NegativeSlope, loaded.Network.Preset));

        Network changed = unsaid.WithBatchNormalization(
            options => options with { Epsilon = 1.0 / 3, MovingStatistics = MovingStatistics.Cumulative }, "bn");
        byte[] stated = SavedNetworks.SaveSafetensors(changed, state, TensorNaming.Keras);
        BatchNormalizationOptions taken =
            Options(unsaid.LoadSafetensors(new MemoryStream(stated), TensorNaming.Keras).Network);
        Assert.AreEqual((1.0 / 3, MovingStatistics.Cumulative), (taken.Epsilon, taken.MovingStatistics));
        Assert.AreEqual(
            1.0 / 3, BatchNormalizationState.LoadSafetensors(new MemoryStream(stated), "bn/").Options.Epsilon);
    }

    [TestMethod]
    public void A_network_that_says_another_value_than_a_file_of_ours_states_is_an_error()
    {
        byte[] file = SavedNetworks.SaveSafetensors(unsaid, unsaid.Initialize());
        (BatchNormalizationOptions Options, string Words)[] others =
        [
            (new() { Epsilon = 1e-5 }, "Epsilon = 1E-05, and the file states 0.001"),
            (new() { Momentum = 0.9 }, "Momentum = 0.9, and the file states 0.99"),
            (new() { MovingStatistics = MovingStatistics.Population }, "Population, and the file states Exponential"),
            (new() { VarianceConvention = VarianceConvention.Sample }, "Sample, and the file states Population"),
        ];
        foreach ((BatchNormalizationOptions options, string words) in others)
        {
            Network said = unsaid.WithBatchNormalization(_ => options, "bn");
            States.IsInvalid(() => SavedNetworks.LoadSafetensors(said, file), "Layer 'bn'", words);
        }
        Network same = unsaid.WithBatchNormalization(options => options with { Epsilon = 1e-3 }, "bn");
        Assert.AreEqual(1e-3, Options(same.LoadSafetensors(new MemoryStream(file)).Network).Epsilon);
    }

    [TestMethod]
    [DataRow(TensorNaming.PyTorch)]
    [DataRow(TensorNaming.Keras)]
    public void A_network_of_ours_predicts_the_same_behind_a_file_whatever_is_unsaid_where(TensorNaming naming)
    {
        Network start = Network.Input(4).Dense(3).BatchNormalization().LeakyReLU();
        Network inner = Network.Input(3).Dense(3).BatchNormalization().LeakyReLU();
        foreach (Network network in (Network[])
            [
                start.Dense(2), start.WithPreset(NetworkPreset.PyTorch).Dense(2),
                start.WithPreset(NetworkPreset.PyTorch).Append(inner),
                start.Append(inner.WithPreset(NetworkPreset.PyTorch).LeakyReLU()).WithPreset(NetworkPreset.PyTorch),
            ])
        {
            NetworkState state = SavedNetworks.State(network);
            using var file = new MemoryStream(SavedNetworks.SaveSafetensors(network, state, naming));
            SavedNetwork loaded = network.LoadSafetensors(file, naming);
            Assert.AreEqual(state.Paths.Count(), loaded.State.Paths.Count());
            CollectionAssert.AreEqual(Predicted(network, state), Predicted(loaded.Network, loaded.State));
        }

        static float[] Predicted(Network network, NetworkState state)
        {
            float[] outputs = new float[network.OutputShape.Size];
            new NetworkModel(network, state).Predict([0.1f, -2, 3, -0.4f], outputs);
            return outputs;
        }
    }

    [TestMethod]
    public void A_file_of_ours_states_each_slope()
    {
        Network said = Network.Input(1).LeakyReLU(0.2).WithPreset(NetworkPreset.PyTorch).LeakyReLU();
        byte[] file = SavedNetworks.SaveSafetensors(said, said.Initialize());
        Network loaded = Network.Input(1).LeakyReLU().LeakyReLU().LoadSafetensors(new MemoryStream(file)).Network;
        Assert.AreEqual((0.2, 0.01), (Slope(loaded, 0), Slope(loaded, 1)));
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(Network.Input(1).LeakyReLU(0.05).LeakyReLU(), file),
            "Layer 'leaky_re_lu' has NegativeSlope = 0.05, and the file states 0.2");

        static double? Slope(Network network, int layer) => ((ActivationLayer)network.Nodes[layer].Layer).NegativeSlope;
    }

    [TestMethod]
    public void A_preset_fills_an_inner_network_that_says_nothing()
    {
        Network outer = Network.Input(4).WithPreset(NetworkPreset.PyTorch)
            .Append(Network.Input(4).Append(Network.Input(4).BatchNormalization(name: "bn").LeakyReLU(), "b"), "a");
        Assert.AreEqual(
            torch with { Axis = 1 }, ((BatchNormalizationLayer)outer.GetNode("a/b/bn").Layer).Options);
        Assert.AreEqual(0.01, ((ActivationLayer)outer.GetNode("a/b/leaky_re_lu").Layer).NegativeSlope);
    }

    [TestMethod]
    public void What_a_file_s_options_leave_out_is_as_the_names_imply()
    {
        byte[] file = SafetensorsFile.OfKind(
            "weights", Stating("", new() { Scale = false, Center = false, Momentum = 0.5 }),
            ("running_mean", "F32", [1], SafetensorsFile.Bytes(1f)),
            ("running_var", "F32", [1], SafetensorsFile.Bytes(1f)));
        Assert.AreEqual(
            torch with { Scale = false, Center = false, Momentum = 0.5 },
            BatchNormalizationState.LoadSafetensors(new MemoryStream(file)).Options);
    }

    [TestMethod]
    public void Layers_that_a_file_does_not_have_stay_unsaid()
    {
        Network more = unsaid.BatchNormalization(name: "mine");
        Network loaded = more.LoadSafetensors(
            new MemoryStream(Foreign(TensorNaming.PyTorch)), onto: more.Initialize()).Network;
        Assert.AreEqual(1e-5, Options(loaded).Epsilon);
        Assert.IsNull(((BatchNormalizationLayer)loaded.GetNode("mine").Layer).Options.Epsilon);
    }

    [TestMethod]
    public void Wrong_options_in_the_metadata_are_an_InvalidDataException()
    {
        foreach (string options in (string[])
            ["null", "7", "{\"\":null}", "{\"\":{}}", "{\"\":{\"epsilon\":-1}}", "{\"\":{\"other\":1}}", "{"])
        {
            byte[] file = SafetensorsFile.OfKind(
                "weights", $"{{\"options\":{options},\"slopes\":{{}},\"populations\":{{}}}}",
                ("running_mean", "F32", [1], SafetensorsFile.Bytes(1f)),
                ("running_var", "F32", [1], SafetensorsFile.Bytes(1f)));
            States.IsInvalid(() => States.LoadSafetensors(file), "The definition is");
        }
    }

    [TestMethod]
    public void Options_in_a_file_that_a_layer_s_own_do_not_go_with_are_an_InvalidDataException()
    {
        string[] names = ["gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"];
        byte[] file = SafetensorsFile.OfKind(
            "weights", Stating("bn/", new() { MovingStatistics = MovingStatistics.Cumulative }),
            [.. names.Select(name => ($"bn/{name}", "F32", (int[])[1], SafetensorsFile.Bytes(1f)))]);
        Network renorm = Network.Input(1).BatchNormalization(new() { Renorm = new() }, name: "bn");
        States.IsInvalid(
            () => renorm.LoadSafetensors(new MemoryStream(file), TensorNaming.Keras),
            "Layer 'bn' does not fit what the file states: ", "Renorm");
    }

    [TestMethod]
    public void Wrong_slopes_in_the_metadata_are_an_InvalidDataException()
    {
        Network network = Network.Input(1).Dense(1).LeakyReLU();
        foreach (string slopes in (string[])
            ["null", "7", "{\"leaky_re_lu\":null}", "{\"leaky_re_lu\":1e999}", "{\"\":1e999}",
                "{\"leaky_re_lu\":\"NaN\"}", "{"])
        {
            byte[] file = SafetensorsFile.OfKind(
                "weights", $"{{\"options\":{{}},\"slopes\":{slopes},\"populations\":{{}}}}",
                ("dense.weight", "F32", [1, 1], SafetensorsFile.Bytes(1f)),
                ("dense.bias", "F32", [1], SafetensorsFile.Bytes(1f)));
            States.IsInvalid(() => SavedNetworks.LoadSafetensors(network, file), "The definition is");
        }
    }

    /// <summary>What a file of weights states that has the options of one layer.</summary>
    static string Stating(string prefix, BatchNormalizationOptions options) =>
        Definition.ToText(new WeightsDefinition(
            null, new() { [prefix] = options }, [], []));

    static BatchNormalizationOptions Options(Network network) =>
        ((BatchNormalizationLayer)network.GetNode("bn").Layer).Options;

    static byte[] Layer(params string[] names) => SafetensorsFile.Of(
        (names[0], "F32", [3], SafetensorsFile.Bytes(0.5f, 0.5f, 0.5f)),
        (names[1], "F32", [3], SafetensorsFile.Bytes(1e-4f, 1e-2f, 1f)),
        (names[2], "F32", [3], SafetensorsFile.Bytes(1f, 1f, 1f)),
        (names[3], "F32", [3], SafetensorsFile.Bytes(0f, 0f, 0f)));

    /// <summary>The values of <see cref="unsaid"/> as another program wrote them.</summary>
    static byte[] Foreign(TensorNaming naming)
    {
        bool isTorch = naming == TensorNaming.PyTorch;
        float[] kernel = isTorch ? [0.02f, 0, 0.2f, 0, -1, 0] : [0.02f, 0.2f, -1, 0, 0, 0];
        int[] shape = isTorch ? [3, 2] : [2, 3];
        (string dense, string norm) = isTorch ? ("fc.", "bn.") : ("fc/", "bn/");
        string[] names = isTorch
            ? ["running_mean", "running_var", "weight", "bias"]
            : ["moving_mean", "moving_variance", "gamma", "beta"];
        return SafetensorsFile.Of(
            (dense + (isTorch ? "weight" : "kernel"), "F32", shape, SafetensorsFile.Bytes(kernel)),
            (dense + "bias", "F32", [3], SafetensorsFile.Bytes(0f, 0f, 0f)),
            (norm + names[0], "F32", [3], SafetensorsFile.Bytes(0f, 0f, 0f)),
            (norm + names[1], "F32", [3], SafetensorsFile.Bytes(1e-4f, 1e-2f, 1f)),
            (norm + names[2], "F32", [3], SafetensorsFile.Bytes(1f, 1f, 1f)),
            (norm + names[3], "F32", [3], SafetensorsFile.Bytes(0f, 0f, 0f)));
    }
}
