namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>How layers get their paths.</summary>
[TestClass]
public class NameTests
{
    static string Paths(OnnxFile file) =>
        string.Join(' ', Reference.Load(file.ToBytes()).Network.Nodes.Select(node => node.Path));

    static OnnxFile Rows() => new OnnxFile().Input("x", -1, 2).Output("y");

    static OnnxFile Dense(string kernel, string bias, string node = "") => Rows().Tensor(kernel, new float[4], 2, 2)
        .Tensor(bias, [1, 2], 2).Named(node, "Gemm", $"x {kernel} {bias}", "y");

    [TestMethod]
    [DataRow("layer1.0.fc.weight", "layer1.0.fc.bias", "layer1.0.fc")]
    [DataRow("model/fc/kernel", "model/fc/bias", "model/fc")]
    [DataRow("fc/MatMul/ReadVariableOp:0", "fc/BiasAdd/ReadVariableOp:0", "fc")]
    [DataRow("/fc//kernel", "/fc//bias", "fc")]
    [DataRow("fc_w", "fc_b", "fc")]
    [DataRow("onnx::Gemm_12", "a.fc.bias", "a.fc")]
    [DataRow("a*b?c\\.weight", "a*b?c\\.bias", "a_b_c_")]
    [DataRow("12", "13", "node")]
    [DataRow("Größe.weight", "Größe.bias", "Größe")]
    public void A_path_is_what_the_names_of_the_tensors_have_in_common(string kernel, string bias, string path) =>
        Assert.AreEqual(path, Paths(Dense(kernel, bias, node: "node")));

    [TestMethod]
    public void A_layer_without_tensors_has_the_name_of_its_node_or_its_operator_and_a_number() => Assert.AreEqual(
        "act/Relu Tanh_0 Relu_1 Tanh_1",
        Paths(Rows().Named("/act/Relu", "Relu", "x", "a").Node("Tanh", "a", "b").Node("Relu", "b", "c")
            .Node("Tanh", "c", "y")));

    [TestMethod]
    public void Paths_occur_once_and_no_layer_lies_in_another() => Assert.AreEqual(
        "a_1 a.Relu a a_2 b/c b_1",
        Paths(Rows().Tensor("a.w", new float[4], 2, 2).Named("a", "Tanh", "x", "1").Named("a/Relu", "Relu", "1", "2")
            .Node("MatMul", "2 a.w", "3").Named("a", "Relu", "3", "4").Named("b/c", "Relu", "4", "5")
            .Named("b", "Relu", "5", "y")));

    [TestMethod]
    public void A_name_that_is_too_long_for_a_path_or_of_too_many_levels_is_not_taken() => Assert.AreEqual(
        "Relu_0 Tanh_0",
        Paths(Rows().Named(new string('a', 600), "Relu", "x", "1")
            .Named(string.Join('/', Enumerable.Repeat("a", 40)), "Tanh", "1", "y")));

    [TestMethod]
    public void PyTorch_s_modules_are_frozen_by_their_names()
    {
        Network network = OnnxImport.Load(Path.Combine(AppContext.BaseDirectory, "Files", "resnet.onnx")).Network;
        Network frozen = network.Freeze("layer1*", "layer2.0.*");
        CollectionAssert.AreEqual(
            new[]
            {
                "layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2", "layer1.0.bn2", "layer2.0.conv1", "layer2.0.bn1",
                "layer2.0.conv2", "layer2.0.bn2", "layer2.0.downsample.0", "layer2.0.downsample.1",
            },
            frozen.Nodes.Where(node => !node.IsTrainable && node.ParameterCount > 0).Select(node => node.Path)
                .ToArray());
        Assert.AreEqual("fc", network.Nodes[^1].Path);
    }

    [TestMethod]
    public void PyTorch_s_names_come_back_when_the_weights_are_saved()
    {
        SavedNetwork saved = OnnxImport.Load(Path.Combine(AppContext.BaseDirectory, "Files", "dense.onnx"));
        var stream = new MemoryStream();
        saved.Network.SaveSafetensors(stream, saved.State);
        string text = System.Text.Encoding.UTF8.GetString(stream.ToArray());
        foreach (string name in (string[])["stem.weight", "layers.3.0.running_var", "transition.2.weight", "fc.bias"])
            StringAssert.Contains(text, $"\"{name}\"");
        stream.Position = 0;
        Assert.AreEqual(
            saved.State["fc"], saved.Network.LoadSafetensors(stream).State["fc"]);
    }
}
