using System.Text.RegularExpressions;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Weights as people have them: with tensors that do not belong, and under names of their own.</summary>
[TestClass]
public class ForeignWeightsTests
{
    static readonly Network network = Network.Input(3).Dense(2, name: "fc").BatchNormalization(name: "bn");

    static readonly NetworkState state = SavedNetworks.LoadSafetensors(network, Of(Tensors()));

    [TestMethod]
    public void Tensors_that_do_not_belong_are_an_error_unless_they_are_ignored_and_then_named()
    {
        byte[] file = Of([.. Tensors(), .. Tensors("optimizer."), One("a.step")]);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, file), "unexpected: \"a.step\", \"optimizer.bn.bias\", ",
            "\"optimizer.fc.weight\". If the network needs none of them, give unexpected: UnexpectedTensors.Ignore.");
        SavedNetwork loaded = network.LoadSafetensors(
            new MemoryStream(file), unexpected: UnexpectedTensors.Ignore);
        Assert.AreEqual(state, loaded.State);
        CollectionAssert.AreEqual(
            (string[])["a.step", .. Tensors("optimizer.").Select(tensor => tensor.Name).Order(StringComparer.Ordinal)],
            loaded.IgnoredTensors.ToArray());
    }

    [TestMethod]
    public void Keras_s_depthwise_kernel_loads_once_it_is_reshaped()
    {
        Network depthwise = Network.Input(2, 1, 2).Conv2D(6, (1, 2), useBias: false, groups: 2);
        float[] kernel = [.. Enumerable.Range(0, 12)];
        byte[] Shaped(params int[] shape) => Of([("conv2d/kernel", "F32", shape, SafetensorsFile.Bytes(kernel))]);
        CollectionAssert.AreEqual(
            (float[])[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11],
            SavedNetworks.LoadSafetensors(depthwise, Shaped(1, 2, 1, 6), TensorNaming.Keras)["conv2d"].Kernel
                .ToArray());
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(depthwise, Shaped(1, 2, 2, 3), TensorNaming.Keras),
            "misshapen: \"conv2d/kernel\" has shape [1, 2, 2, 3]");
    }

    [TestMethod]
    public void Nothing_is_ignored_where_everything_belongs()
    {
        SavedNetwork loaded = network.LoadSafetensors(
            new MemoryStream(Of(Tensors())), unexpected: UnexpectedTensors.Ignore);
        Assert.AreEqual(state, loaded.State);
        Assert.IsEmpty(loaded.IgnoredTensors);
    }

    [TestMethod]
    public void What_was_ignored_is_no_part_of_the_value()
    {
        byte[] file = Of([.. Tensors(), One("a")]);
        SavedNetwork loaded = network.LoadSafetensors(new MemoryStream(file), unexpected: UnexpectedTensors.Ignore);
        var same = new SavedNetwork(loaded.Network, loaded.State);
        Assert.AreEqual(same, loaded);
        Assert.AreEqual(same.GetHashCode(), loaded.GetHashCode());
        Assert.AreNotEqual(same with { Network = network.Freeze("fc") }, loaded);
        Assert.AreNotEqual(same with { State = network.Initialize(5) }, loaded);
        Assert.IsFalse(loaded.Equals(null));
    }

    [TestMethod]
    public void An_old_head_is_ignored_and_the_new_one_kept()
    {
        Network pretrained = network.ReLU().Dense(7, name: "head"), mine = pretrained.WithHead(4);
        byte[] file = SavedNetworks.SaveSafetensors(pretrained, SavedNetworks.State(pretrained));
        NetworkState fresh = mine.Initialize(seed: 3);
        SavedNetwork loaded = mine.LoadSafetensors(
            new MemoryStream(file), onto: fresh, unexpected: UnexpectedTensors.Ignore);
        NetworkState whole = SavedNetworks.LoadSafetensors(pretrained, file);
        Assert.AreEqual(fresh.With("fc", whole["fc"]).With("bn", whole["bn"]), loaded.State);
        CollectionAssert.AreEqual((string[])["head.bias", "head.weight"], loaded.IgnoredTensors.ToArray());
    }

    [TestMethod]
    public void Averages_beside_the_weights_are_ignored_or_are_what_is_loaded()
    {
        var averages = Tensors("ema.", scale: 2);
        byte[] file = Of([.. Tensors(), .. averages]);
        NetworkState mean = SavedNetworks.LoadSafetensors(network, Of(Tensors(scale: 2)));
        Assert.AreNotEqual(state, mean);
        Assert.AreEqual(state, Load(file));
        Assert.AreEqual(mean, Load(file, prefix: path => "ema." + path));

        // Behind the name of each tensor, as many trainers write them.
        byte[] behind = Of([
            .. Tensors(), .. Tensors(scale: 2).Select(tensor => tensor with { Name = tensor.Name + "_ema" })]);
        Assert.AreEqual(state, Load(behind));
        Assert.AreEqual(
            mean, Load(behind, rename: name => name.EndsWith("_ema") ? name[..^"_ema".Length] : "plain." + name));

        NetworkState Load(byte[] bytes, Func<string, string?>? prefix = null, Func<string, string>? rename = null) =>
            SavedNetworks.LoadSafetensors(
                network, bytes, prefix: prefix, rename: rename, unexpected: UnexpectedTensors.Ignore);
    }

    [TestMethod]
    public void Missing_and_misshapen_tensors_are_errors_whether_others_are_ignored_or_not()
    {
        byte[] file = Of([.. Tensors().Where(tensor => tensor.Name != "fc.bias"), One("fc.biases")]);
        States.IsInvalid(() => Load(file), "missing: \"fc.bias\" of shape [2]; unexpected: \"fc.biases\".");
        byte[] misshapen = Of([.. Tensors().Where(tensor => tensor.Name != "fc.bias"), One("fc.bias"), One("a")]);
        States.IsInvalid(() => Load(misshapen), "misshapen: \"fc.bias\" has shape [1] instead of [2].");

        static NetworkState Load(byte[] bytes) => SavedNetworks.LoadSafetensors(
            network, bytes, onto: network.Initialize(), unexpected: UnexpectedTensors.Ignore);
    }

    [TestMethod]
    public void A_file_with_nothing_of_the_network_is_an_error_and_not_a_network_as_it_was()
    {
        byte[] file = Of(Tensors("module."));
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(
                network, file, onto: network.Initialize(), unexpected: UnexpectedTensors.Ignore),
            "missing: \"fc.weight\" of shape [2, 3], ", "unexpected: \"module.bn.bias\", ",
            "The names begin with \"module.\"");
    }

    [TestMethod]
    public void Tensors_are_found_under_the_names_that_they_are_given()
    {
        byte[] gamma = Of([.. Tensors().Select(tensor => tensor with
        {
            Name = tensor.Name.Replace("bn.weight", "bn.gamma").Replace("bn.bias", "bn.beta"),
        })]);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, gamma), "missing: \"bn.weight\" of shape [2], \"bn.bias\"");
        Assert.AreEqual(
            state,
            SavedNetworks.LoadSafetensors(
                network, gamma, rename: name => name.Replace("gamma", "weight").Replace("beta", "bias")));
        Assert.AreEqual(
            state,
            SavedNetworks.LoadSafetensors(
                network, Of(Tensors("model.module.")), prefix: path => "module." + path,
                rename: name => name["model.".Length..]));
    }

    [TestMethod]
    public void The_names_of_torchvision_s_first_DenseNets_are_renamed_as_torchvision_does()
    {
        Network layer = Network.Input(2, 3, 3).Append(
            Network.Input(2, 3, 3).BatchNormalization(name: "norm1").Conv2D(2, 1, useBias: false, name: "conv1"),
            "denselayer1");
        NetworkState known = SavedNetworks.State(layer);
        byte[] today = SavedNetworks.SaveSafetensors(layer, known);
        byte[] then = SafetensorsFile.WithChecksum(SafetensorsFile.Of(
            SafetensorsFile.Header(today).Replace("norm1.", "norm.1.").Replace("conv1.", "conv.1."),
            SafetensorsFile.Data(today)));
        Assert.AreEqual(
            SavedNetworks.LoadSafetensors(layer, today),
            SavedNetworks.LoadSafetensors(
                layer, then, rename: name => Regex.Replace(name, @"(denselayer\d+\.(?:norm|conv))\.(\d)", "$1$2")));
    }

    [TestMethod]
    public void The_names_of_Hugging_Face_s_ResNet_are_renamed()
    {
        Network block = Network.Input(1, 2, 2).Append(
            Network.Input(1, 2, 2).Append(
                Network.Input(1, 2, 2).Conv2D(1, 1, useBias: false, name: "conv1").BatchNormalization(name: "bn1"),
                "0"),
            "layer2");
        NetworkState known = SavedNetworks.State(block);
        byte[] file = Of(
            ("resnet.encoder.stages.1.layers.0.layer.0.convolution.weight", "F32", [1, 1, 1, 1], Values(3)),
            ("resnet.encoder.stages.1.layers.0.layer.0.normalization.weight", "F32", [1], Values(4)),
            ("resnet.encoder.stages.1.layers.0.layer.0.normalization.bias", "F32", [1], Values(5)),
            ("resnet.encoder.stages.1.layers.0.layer.0.normalization.running_mean", "F32", [1], Values(6)),
            ("resnet.encoder.stages.1.layers.0.layer.0.normalization.running_var", "F32", [1], Values(7)));
        NetworkState loaded = SavedNetworks.LoadSafetensors(block, file, rename: name =>
        {
            Match match = Regex.Match(
                name, @"stages\.(\d)\.layers\.(\d)\.layer\.(\d)\.(convolution|normalization)\.(\w+)");
            int stage = int.Parse(match.Groups[1].Value) + 1, part = int.Parse(match.Groups[3].Value) + 1;
            string kind = match.Groups[4].Value == "convolution" ? "conv" : "bn";
            return $"layer{stage}.{match.Groups[2]}.{kind}{part}.{match.Groups[5]}";
        });
        Assert.AreEqual(3, loaded["layer2/0/conv1"].Kernel[0]);
        Assert.AreEqual(new BatchNormalizationState([6], [7], [4], [5]), loaded["layer2/0/bn1"].BatchNormalization);
    }

    [TestMethod]
    public void Two_tensors_of_one_name_are_an_error_that_names_them_as_they_are_in_the_file()
    {
        byte[] file = Of([.. Tensors(), One("bn.gamma")]);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(
                network, file, rename: name => name.Replace("gamma", "weight"), unexpected: UnexpectedTensors.Ignore),
            "Two tensors get the name \"bn.weight\": ", "\"bn.gamma\"");
        byte[] renamed = Of([.. Tensors(), One("a")]);
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, renamed, rename: name => name == "a" ? "b" : name),
            "unexpected: \"a\".");
        byte[] cut = Of(Tensors("old."));
        States.IsInvalid(
            () => SavedNetworks.LoadSafetensors(network, cut[..^1], rename: name => name["old.".Length..]),
            "tensor \"old.bn.num_batches_tracked\"");
    }

    [TestMethod]
    public void What_a_file_states_of_a_layer_follows_it_under_its_new_name()
    {
        var options = BatchNormalizationOptions.PyTorch with
        {
            Epsilon = 0.25, MovingStatistics = MovingStatistics.Population,
        };
        Network saved = Network.Input(2).BatchNormalization(options, name: "norm");
        BatchNormalizationState values = States.Random(2, StateParts.All & ~StateParts.Renorm);
        var known = new NetworkState([new("norm", new LayerState(values))]);
        byte[] file = SavedNetworks.SaveSafetensors(saved, known);
        SavedNetwork loaded = Network.Input(2).BatchNormalization(name: "bn").LoadSafetensors(
            new MemoryStream(file), rename: name => name.Replace("norm.", "bn."));
        Assert.AreEqual(options with { Axis = 1 }, ((BatchNormalizationLayer)loaded.Network.Nodes[0].Layer).Options);
        Assert.IsNotNull(loaded.State["bn"].BatchNormalization!.Population);
        Assert.AreEqual(SavedNetworks.LoadSafetensors(saved, file)["norm"], loaded.State["bn"]);
    }

    [TestMethod]
    public void Arguments_that_mean_nothing_are_refused()
    {
        byte[] file = Of(Tensors());
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => SavedNetworks.LoadSafetensors(network, file, unexpected: (UnexpectedTensors)2));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => SavedNetworks.LoadSafetensors(network, file, rename: name => null!)).Message,
            "The function gave null for \"");
    }

    static (string Name, string Dtype, int[] Shape, byte[] Data)[] Tensors(string prefix = "", float scale = 1) =>
    [
        (prefix + "fc.weight", "F32", [2, 3], Values(1, 2, 3, 4, 5, 6 * scale)),
        (prefix + "fc.bias", "F32", [2], Values(1, 2 * scale)),
        (prefix + "bn.weight", "F32", [2], Values(1, 3 * scale)),
        (prefix + "bn.bias", "F32", [2], Values(1, 4 * scale)),
        (prefix + "bn.running_mean", "F32", [2], Values(1, 5 * scale)),
        (prefix + "bn.running_var", "F32", [2], Values(1, 6 * scale)),
        (prefix + "bn.num_batches_tracked", "I64", [], SafetensorsFile.Bytes(3L)),
    ];

    static (string Name, string Dtype, int[] Shape, byte[] Data) One(string name) => (name, "F32", [1], Values(1));

    static byte[] Values(params float[] values) => SafetensorsFile.Bytes(values);

    static byte[] Of(params (string Name, string Dtype, int[] Shape, byte[] Data)[] tensors) =>
        SafetensorsFile.Of(tensors);
}
