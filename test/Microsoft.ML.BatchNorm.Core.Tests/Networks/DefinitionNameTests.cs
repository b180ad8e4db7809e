namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class DefinitionNameTests
{
    [TestMethod]
    public void Layers_without_a_name_get_Keras_s()
    {
        Network network = Network.Input(2, 9, 9)
            .Conv2D(2, 1).Conv2D(2, 1).BatchNormalization().BatchNormalization().ReLU().LeakyReLU().Dropout(0.1)
            .MaxPool2D().AveragePool2D(1).GlobalAveragePool2D().Flatten().Dense(2).Dense(2).Dense(2)
            .Gelu().Sigmoid().Tanh().Append(Network.Input(2).Dense(1));
        CollectionAssert.AreEqual(
            (string[])
            [
                "conv2d", "conv2d_1", "batch_normalization", "batch_normalization_1", "re_lu", "leaky_re_lu", "dropout",
                "max_pooling2d", "average_pooling2d", "global_average_pooling2d", "flatten", "dense", "dense_1",
                "dense_2", "gelu", "sigmoid", "tanh", "network/dense",
            ],
            network.Nodes.Select(node => node.Path).ToArray());
    }

    [TestMethod]
    public void A_name_that_is_taken_is_passed_over_in_numbering_and_refused_when_given()
    {
        Network network = Network.Input(2).Dense(2, name: "dense_1").Dense(2).Dense(2);
        CollectionAssert.AreEqual(
            (string[])["dense_1", "dense", "dense_2"], network.Nodes.Select(node => node.Layer.Name).ToArray());
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.ReLU("dense")).Message,
            "has a layer 'dense' already");
        Assert.ThrowsExactly<ArgumentException>(
            () => Network.Of(new TensorShape(2), new DenseLayer(2) { Name = "a" }, new DropoutLayer(0) { Name = "a" }));
    }

    [TestMethod]
    public void Names_hold_no_path_or_pattern_character_and_are_valid_text()
    {
        foreach (string name in (string[])["a/b", "a\\b", "*", "a?", "\ud800"])
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(() => Network.Input(2).ReLU(name)).Message, $"'{name}'");
        Assert.AreEqual("Größe.大 1", Network.Input(2).ReLU("Größe.大 1").Nodes[0].Layer.Name);
    }

    [TestMethod]
    public void Paths_and_layers_have_bounds()
    {
        Assert.AreEqual(Network.MaxPath, Network.Input(2).ReLU(new string('n', 500)).Nodes[0].Path.Length);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => Network.Input(2).ReLU(new string('n', 501))).Message,
            "501 characters; 500 are allowed");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => Network.Input(2).Append(
                Network.Input(2).ReLU(new string('n', 400)), new string('m', 100))).Message,
            "501 characters");
        ActivationLayer[] layers = [.. Enumerable.Range(0, 20_001).Select(
            i => new ActivationLayer(Activation.ReLU) { Name = $"{i}" })];
        Assert.AreEqual(20_000, Network.Of(new TensorShape(2), layers[1..]).Nodes.Count);
        Assert.ThrowsExactly<ArgumentException>(() => Network.Of(new TensorShape(2), layers));
    }

    [TestMethod]
    public void A_layer_is_found_by_its_path_with_the_shapes_on_both_sides()
    {
        Network network = Network.Input(4).Append(Network.Input(4).Dense(3, name: "fc"), "base").ReLU();
        NetworkNode node = network.GetNode("base/fc");
        Assert.AreEqual(new NetworkNode("base/fc", node.Layer, [-1], [new TensorShape(4)], new TensorShape(3)), node);
        Assert.AreEqual((15L, 15L), (node.ParameterCount, node.TrainableCount));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.GetNode("fc")).Message,
            "no layer 'fc'; it has base/fc, re_lu.");
        Assert.ThrowsExactly<ArgumentException>(() => Network.Input(2).GetNode("x"));
    }

    [TestMethod]
    public void A_network_is_cut_behind_or_before_a_layer_for_another_head()
    {
        Network network = Network.Input(4).Dense(3, name: "a").ReLU(name: "b").Dense(2, name: "c");
        Assert.AreEqual(Network.Input(4).Dense(3, name: "a").ReLU(name: "b"), network.Until("b"));
        Assert.AreEqual(Network.Input(4).Dense(3, name: "a"), network.Before("b"));
        Assert.AreEqual(Network.Input(4), network.Before("a"));
        Assert.AreEqual(network, network.Until("c"));
        Assert.AreEqual("[5]", network.Before("c").Dense(5, name: "c").OutputShape.ToString());
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.Until("d")).Message, "no layer 'd'; it has a, b, c.");
        Assert.ThrowsExactly<ArgumentException>(() => network.Before("d"));
    }

    [TestMethod]
    public void Networks_are_equal_when_shapes_presets_layers_names_and_switches_are()
    {
        static Network Make(
            int inputs = 4, int units = 3, string name = "fc", double momentum = 0.9, double slope = 0.1,
            bool frozen = false)
        {
            Network network = Network.Input(inputs)
                .Append(
                    Network.Input(inputs).Dense(units, name: name)
                        .BatchNormalization(new() { Momentum = momentum, GammaRegularizer = Regularizer.L2(slope) }),
                    "base")
                .LeakyReLU(slope);
            return frozen ? network.Freeze("base") : network;
        }

        Network network = Make();
        Assert.AreEqual(Make(), network);
        Assert.AreEqual(Make().GetHashCode(), network.GetHashCode());
        Assert.AreEqual(Make(frozen: true), network.Freeze("*").Unfreeze("leaky_re_lu"));
        Network[] others =
        [
            Make(inputs: 5), Make(units: 4), Make(name: "f"), Make(momentum: 0.8), Make(slope: 0.2), Make(frozen: true),
            network.WithPreset(NetworkPreset.PyTorch), network.ReLU(), network.Before("leaky_re_lu"),
        ];
        foreach (Network other in others)
            Assert.AreNotEqual(network, other);
        Assert.IsFalse(network.Equals(null));
        Assert.AreEqual(NetworkPreset.PyTorch, others[6].Preset);
    }
}
