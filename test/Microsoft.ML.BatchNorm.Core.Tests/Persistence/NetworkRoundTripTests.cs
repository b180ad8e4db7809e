using System.Runtime.InteropServices;
using AnyLayer = Microsoft.ML.BatchNorm.Layer;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

[TestClass]
public class NetworkRoundTripTests
{
    [TestMethod]
    public void A_loaded_network_of_every_kind_of_layer_equals_the_saved_one_with_its_state()
    {
        Network network = SavedNetworks.Every;
        NetworkState state = SavedNetworks.State(network);
        SavedNetwork loaded = SavedNetworks.Load(SavedNetworks.Save(network, state));
        Assert.AreEqual(network, loaded.Network);
        Assert.AreEqual(state, loaded.State);
        Assert.AreEqual(network.Summary(), loaded.Network.Summary());
        Assert.AreEqual(new SavedNetwork(network, state), loaded);
    }

    [TestMethod]
    public void A_module_of_a_hundred_megabytes_is_loaded_as_it_was_saved()
    {
        byte[] module = new byte[100_000_000];
        new Random(1).NextBytes(module);
        var shape = new TensorShape(4);
        Network network = Network.Of(
            shape, new TorchScriptLayer(ImmutableCollectionsMarshal.AsImmutableArray(module), shape, shape)
            {
                Trainable = false,
            });
        Assert.AreEqual(network, SavedNetworks.Load(SavedNetworks.Save(network, network.Initialize())).Network);
    }

    [TestMethod]
    public void Every_kind_of_layer_and_every_option_of_theirs_is_saved_with_another_value_than_its_default()
    {
        Type[] kinds =
            [.. typeof(AnyLayer).Assembly.GetExportedTypes().Where(type => type.IsSubclassOf(typeof(AnyLayer)))];
        AnyLayer[] saved = [.. All(SavedNetworks.Every), .. All(SavedNetworks.Scripts)];
        CollectionAssert.AreEquivalent(kinds, saved.Select(layer => layer.GetType()).Distinct().ToArray());

        static IEnumerable<AnyLayer> All(Network network) =>
            network.Nodes.Select(node => node.Layer);
        foreach (Type kind in kinds)
        {
            foreach (var property in kind.GetProperties().Where(each => each.CanWrite && each.Name != "Name"))
            {
                object?[] values = [.. saved.Where(kind.IsInstanceOfType).Select(property.GetValue).Distinct()];
                Assert.IsTrue(
                    values.Length > 1 || kind == typeof(DropoutLayer) || property.Name == "Trainable",
                    $"{kind.Name}.{property.Name} is saved with one value only");
            }
        }
    }

    [TestMethod]
    public void TorchScript_modules_come_back_byte_by_byte()
    {
        Network network = SavedNetworks.Scripts;
        Assert.AreEqual(network, SavedNetworks.Load(SavedNetworks.Save(network, network.Initialize())).Network);
    }

    [TestMethod]
    public void TorchScript_modules_that_were_trained_come_back_beside_those_that_were_not()
    {
        Network network = SavedNetworks.Scripts;
        Assert.AreEqual(network.Initialize(), SavedNetworks.Load(SavedNetworks.Save(network, network.Initialize())).State);
        NetworkState state = network.Initialize().With("torch_script", LayerState.OfTorchScript([5, 6, 7, 8]));
        byte[] bytes = SavedNetworks.Save(network, state);
        Assert.AreEqual(state, SavedNetworks.Load(bytes).State);
        Assert.AreNotEqual(network.Initialize(), SavedNetworks.Load(bytes).State);
        Damage.EveryTruncationIsInvalid(bytes, SavedNetworks.Load);
        Damage.EveryFlippedBitIsInvalid(bytes, SavedNetworks.Load);
        byte[] empty = SafetensorsFile.OfKind(
            "network", SafetensorsFile.Definition(bytes), ("torch_script/module", "U8", [0], []),
            ("frozen/module", "U8", [1], [4]));
        States.IsInvalid(
            () => SavedNetworks.Load(empty), "\"torch_script/module\" has shape [0] instead of one dimension");
    }

    [TestMethod]
    public void A_trained_TorchScript_module_belongs_to_a_TorchScript_layer_and_stays_beside_other_weights()
    {
        Network network = SavedNetworks.Scripts.Dense(2);
        var module = LayerState.OfTorchScript([5, 6]);
        NetworkState state = network.Initialize().With("frozen", module);
        network.CheckState(state);
        Assert.AreEqual(module, network.Initialize(state)["frozen"]);
        byte[] weights = SavedNetworks.SaveSafetensors(network, state);
        Assert.AreEqual(state, SavedNetworks.LoadSafetensors(network, weights, onto: state));
        foreach ((string path, LayerState wrong) in
            (ReadOnlySpan<(string, LayerState)>)[("dense", module), ("frozen", state["dense"])])
        {
            var error = Assert.ThrowsExactly<ArgumentException>(() => network.CheckState(state.With(path, wrong)));
            StringAssert.Contains(error.Message, $"'{path}'");
            StringAssert.Contains(error.Message, "has torch_script");
        }
        Assert.ThrowsExactly<ArgumentException>(() => LayerState.OfTorchScript([]));
    }

    [TestMethod]
    public void Each_activation_and_each_kernel_initializer_comes_back()
    {
        KernelInitializer[] initializers =
        [
            KernelInitializer.GlorotUniform, KernelInitializer.GlorotNormal, KernelInitializer.HeUniform,
            KernelInitializer.HeNormal, KernelInitializer.PyTorch, KernelInitializer.Zeros, KernelInitializer.Of(-2.5),
        ];
        Network network = Network.Of(
            new TensorShape(3),
            [
                .. initializers.Select(initializer => new DenseLayer(2) { KernelInitializer = initializer }),
                .. initializers.Select(initializer => new DenseLayer(2) { BiasInitializer = initializer }),
                .. Enum.GetValues<Activation>().Select(function => new ActivationLayer(function)),
            ]);
        Assert.AreEqual(network, SavedNetworks.Load(SavedNetworks.Save(network, network.Initialize())).Network);
    }

    [TestMethod]
    public void A_network_without_layers_and_one_of_deep_paths_come_back()
    {
        Network network = Network.Input(2, 3);
        for (int depth = 0; depth < 20; depth++)
        {
            Assert.AreEqual(network, SavedNetworks.Load(SavedNetworks.Save(network, network.Initialize())).Network);
            network = Network.Input(2, 3).Append(network.ReLU());
        }
    }

    [TestMethod]
    public void A_population_and_the_weight_of_the_initializer_come_back()
    {
        Network network = Network.Input(3).BatchNormalization();
        NetworkState state = network.Initialize()
            .With("batch_normalization", new LayerState(States.Random(3, StateParts.All)));
        Assert.AreEqual(state, SavedNetworks.Load(SavedNetworks.Save(network, state)).State);
    }

    [TestMethod]
    public void Networks_in_a_row_in_one_stream_are_loaded_one_by_one_and_nothing_behind_them_is_read()
    {
        Network other = Network.Input(4).Dense(2);
        byte[] bytes =
        [
            .. SavedNetworks.Save(SavedNetworks.Every, SavedNetworks.State(SavedNetworks.Every)),
            .. SavedNetworks.Save(other, other.Initialize(3)), 1, 2, 3,
        ];
        foreach (int atMost in (int[])[1, 7, int.MaxValue])
        {
            var stream = new TrickleStream(bytes, atMost);
            Assert.AreEqual(SavedNetworks.Every, Network.Load(stream).Network);
            Assert.AreEqual(new SavedNetwork(other, other.Initialize(3)), Network.Load(stream));
            Assert.AreEqual(bytes.Length - 3, stream.Given);
        }
    }

    [TestMethod]
    public void A_state_that_does_not_fit_or_has_diverged_is_refused_before_anything_is_written()
    {
        Network network = Network.Input(2).Dense(2).BatchNormalization();
        NetworkState state = network.Initialize();
        var stream = new MemoryStream();
        NetworkState other = Network.Input(2).Dense(3).Initialize();
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.Save(stream, other)).Message,
            "'batch_normalization' is missing");
        NetworkState diverged = state.With(
            "dense", LayerState.OfTensors([new("kernel", new float[] { 1, 2, float.NaN, 4 }), new("bias", new float[] { 0, 0 })]));
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidOperationException>(() => network.Save(stream, diverged)).Message,
            "Layer 'dense': The value kernel[2] is NaN");
        Assert.AreEqual(0, stream.Length);
    }

    [TestMethod]
    public void Null_arguments_are_errors_and_the_stream_s_own_errors_pass_through()
    {
        Network network = Network.Input(2).Dense(2);
        Assert.ThrowsExactly<ArgumentNullException>(() => network.Save(null!, network.Initialize()));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.Save(Stream.Null, null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => Network.Load(null!));
        Assert.ThrowsExactly<IOException>(() => network.Save(new FailingStream(20), network.Initialize()));
        Assert.ThrowsExactly<IOException>(() => Network.Load(new FailingStream(0)));
    }
}
