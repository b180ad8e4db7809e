namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>Parts of networks that nest, and their states.</summary>
[TestClass]
public sealed class PartTests
{
    static readonly Network block = Network.Input(4).Dense(3, name: "fc").BatchNormalization(name: "norm").ReLU("act");

    static readonly Network network = Network.Input(4).Dense(4, name: "first")
        .Append(Network.Input(4).WithPreset(NetworkPreset.PyTorch).Append(block, "block").Tanh("end"), "base")
        .Dense(2, name: "top").Freeze("base/block/norm");

    [TestMethod]
    [DataRow("first", "first")]
    [DataRow("base", "first base/block/fc base/block/norm base/block/act base/end")]
    [DataRow("base/end", "first base/block/fc base/block/norm base/block/act base/end")]
    [DataRow("base/block", "first base/block/fc base/block/norm base/block/act")]
    [DataRow("base/block/norm", "first base/block/fc base/block/norm")]
    [DataRow("base/block/fc", "first base/block/fc")]
    public void A_network_reaches_until_a_layer_of_an_inner_one(string path, string paths)
    {
        Network part = network.Until(path);
        Assert.AreEqual(paths, Paths(part));
        Assert.IsTrue(part.Nodes.All(node => node.Equals(network.GetNode(node.Path))));
    }

    [TestMethod]
    [DataRow("first", "")]
    [DataRow("base", "first")]
    [DataRow("base/end", "first base/block/fc base/block/norm base/block/act")]
    [DataRow("base/block/norm", "first base/block/fc")]
    [DataRow("base/block/fc", "first")]
    [DataRow("base/block", "first")]
    public void A_network_ends_before_a_layer_of_an_inner_one(string path, string paths)
    {
        Network part = network.Before(path);
        Assert.AreEqual(paths, Paths(part));
    }

    [TestMethod]
    public void An_inner_network_that_is_cut_keeps_its_switches()
    {
        Assert.IsFalse(network.Until("base/block/norm").GetNode("base/block/norm").IsTrainable);
    }

    [TestMethod]
    public void Paths_of_no_layer_are_errors_that_list_those_there_are()
    {
        foreach (string path in new[] { "", "none", "base/none", "base/", "first/fc", "base/block/fc/", "/first" })
        {
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(() => network.Until(path), path).Message,
                $"no layer '{path}'; it has first, base/block/fc, ");
            Assert.ThrowsExactly<ArgumentException>(() => network.Before(path), path);
        }
        Assert.ThrowsExactly<ArgumentNullException>(() => network.Until(null!));
    }

    [TestMethod]
    public void A_state_gives_a_part_its_layers()
    {
        NetworkState state = network.Initialize(1);
        Network part = network.Until("base/block/norm");
        NetworkState own = state.For(part);
        CollectionAssert.AreEquivalent(new[] { "first", "base/block/fc", "base/block/norm" }, own.Paths.ToArray());
        foreach (string path in own.Paths)
            Assert.AreSame(state[path], own[path]);
        Assert.AreEqual(3, new NetworkModel(part, own).Predict(new float[4]).Length);
        Assert.AreEqual(state, state.For(network));
    }

    [TestMethod]
    public void A_state_that_lacks_a_part_s_layer_or_has_it_in_another_shape_is_an_error()
    {
        NetworkState state = network.Initialize(1);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => state.For(network.Dense(1, name: "more"))).Message,
            "'more' is missing");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => state.For(Network.Input(5).Dense(4, name: "first"))).Message,
            "'first' has 16 values of kernel instead of 20");
        Assert.ThrowsExactly<ArgumentNullException>(() => state.For(null!));
    }

    [TestMethod]
    public void A_state_of_more_layers_than_the_network_s_is_refused_with_the_way_out()
    {
        NetworkState state = network.Initialize(1);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.Until("base").CheckState(state)).Message,
            "'top' is not a layer of the network with parameters. NetworkState.For leaves such layers out.");
    }

    [TestMethod]
    public void Initialize_tells_which_layers_it_has_taken_over()
    {
        Network mine = network.WithHead(5);
        NetworkState known = network.Initialize(1);
        NetworkState state = mine.Initialize(known, 2, out IReadOnlyList<string> takenOver);
        CollectionAssert.AreEqual(new[] { "first", "base/block/fc", "base/block/norm" }, takenOver.ToArray());
        Assert.AreEqual(mine.Initialize(known, 2), state);
        Network.Input(7).Dense(4, name: "first").Initialize(known, 2, out takenOver);
        Assert.AreEqual(0, takenOver.Count);
    }

    static string Paths(Network network) => string.Join(' ', network.Nodes.Select(node => node.Path));
}
