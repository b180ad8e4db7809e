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
    public void A_network_without_kernels_a_name_that_is_taken_and_no_outputs_are_errors()
    {
        Assert.ThrowsExactly<ArgumentException>(() => Network.Input(4).ReLU().WithHead(2));
        Network two = Network.Input(4).Dense(3).Dense(2, name: "top");
        Assert.ThrowsExactly<ArgumentException>(() => two.WithHead(2, "dense"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Network.Input(4).Dense(3).WithHead(0));
    }
}
