namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class HeadTests
{
    [TestMethod]
    public void A_new_head_has_its_outputs_and_the_layers_under_it_keep_their_state()
    {
        Network pretrained = Network.Input(4)
            .Dense(3).BatchNormalization().ReLU().Dense(10, useBias: false, name: "classes");
        NetworkState known = pretrained.Initialize(1);
        Network mine = pretrained.WithHead(5);
        NetworkState state = mine.Initialize(known, seed: 2);
        Assert.AreEqual(5, mine.OutputShape.Size);
        Assert.AreEqual("head", mine.Nodes[^1].Path);
        Assert.IsFalse(((DenseLayer)mine.Nodes[^1].Layer).UseBias);
        Assert.AreEqual(known["dense"], state["dense"]);
        Assert.AreEqual(known["batch_normalization"], state["batch_normalization"]);
        mine.CheckState(state);
    }

    [TestMethod]
    public void A_head_of_as_many_outputs_begins_afresh_too()
    {
        Network pretrained = Network.Input(4).Dense(3, name: "head");
        NetworkState known = pretrained.Initialize(1);
        Network mine = pretrained.WithHead(3);
        Assert.AreEqual("head_1", mine.Nodes[^1].Path);
        LayerState fresh = mine.Initialize(known, seed: 2)["head_1"];
        CollectionAssert.AreNotEqual(known["head"].Kernel.ToArray(), fresh.Kernel.ToArray());
    }

    [TestMethod]
    public void A_frozen_head_in_an_inner_network_or_a_convolution_is_replaced_in_its_place_and_trains()
    {
        Network inner = Network.Input(3, 4, 4).Conv2D(8, 3).ReLU().Conv2D(10, 1, name: "classes").GlobalAveragePool2D();
        Network mine = Network.Input(3, 4, 4).Append(inner, "base").Freeze("*").WithHead(5, "mine");
        Assert.AreEqual(new TensorShape(5), mine.OutputShape);
        Assert.AreEqual(8, ((Conv2DLayer)mine.GetNode("base/conv2d").Layer).Filters);
        Assert.IsTrue(mine.GetNode("base/mine").IsTrainable);
        Assert.IsFalse(mine.GetNode("base/conv2d").IsTrainable);
    }

    [TestMethod]
    public void A_network_that_ends_in_features_gets_a_head_and_keeps_all_its_layers()
    {
        Network body = Network.Input(8, 4, 4).Conv2D(8, 3, padding: 1).BatchNormalization();
        Network images = Network.Input(3, 4, 4).Conv2D(8, 3, padding: 1).Residual(body).ReLU();
        Network[] features =
        [
            images, images.AveragePool2D(4), Network.Input(3, 4, 4).Conv2D(8, 3).ReLU().MaxPool2D(),
            Network.Input(4).Dense(3).BatchNormalization().ReLU(), Network.Input(4).ReLU(),
            Network.Input(2, 3).BatchNormalization(),
        ];
        foreach (Network network in features)
        {
            Assert.IsNull(network.FindHead());
            Network mine = network.WithHead(5);
            Assert.AreEqual(("head", 5), (mine.Nodes[^1].Path, mine.OutputShape.Size));
            Assert.AreEqual(mine.Nodes.Count - 1, mine.FindHead());
            CollectionAssert.AreEqual(
                network.Nodes.ToArray(), mine.Nodes.Take(network.Nodes.Count).ToArray());
        }
        Assert.AreEqual("global_average_pooling2d", images.WithHead(5).Nodes[^2].Path);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => FineTune.HeadOnly(1, 0.1).Phases[0].Switches(images)).Message,
            "The network ends in features and has no head");
    }

    [TestMethod]
    public void A_convolution_that_gives_outputs_is_a_head_and_one_that_gives_features_is_none()
    {
        Network features = Network.Input(3, 6, 6).Conv2D(8, 3).ReLU();
        Assert.IsNull(features.GlobalAveragePool2D().FindHead());
        Assert.AreEqual(2, features.Conv2D(10, 1).GlobalAveragePool2D().FindHead());
        Assert.AreEqual(2, features.Conv2D(10, 4).Flatten().FindHead());
    }

    [TestMethod]
    public void A_name_that_is_taken_and_no_outputs_are_errors()
    {
        Network two = Network.Input(4).Dense(3).Dense(2, name: "top");
        Assert.ThrowsExactly<ArgumentException>(() => two.WithHead(2, "dense"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Network.Input(4).Dense(3).WithHead(0));
    }
}
