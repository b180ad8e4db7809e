using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>Files that others have written.</summary>
[TestClass]
public class PretrainedTests
{
    /// <summary>Outputs of whole networks differ by about 1e-6 of the greatest.</summary>
    const double Tolerance = 2e-6;

    public TestContext TestContext { get; set; } = null!;

    static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "Files", name);

    static JsonElement Expected(string name) =>
        JsonDocument.Parse(File.ReadAllText(PathOf("expected.json"))).RootElement.GetProperty("cases")
            .EnumerateArray().Single(entry => entry.GetProperty("name").GetString() == name);

    static double[] Numbers(JsonElement element) =>
        [.. element.EnumerateArray().Select(value => value.GetDouble())];

    [TestMethod]
    [DataRow("resnet")]
    [DataRow("mobile")]
    [DataRow("dense")]
    public void PyTorch_s_networks_give_what_PyTorch_and_ONNX_Runtime_give(string name)
    {
        JsonElement expected = Expected(name);
        SavedNetwork saved = OnnxImport.Load(PathOf($"{name}.onnx"));
        float[] x = [.. Numbers(expected.GetProperty("x")).Select(value => (float)value)];
        float[] y = [.. Numbers(expected.GetProperty("y")).Select(value => (float)value)];
        int[] shape = [.. Numbers(expected.GetProperty("input")).Select(size => (int)size)];
        double[] epsilons = Numbers(expected.GetProperty("epsilon"));
        BatchNormalizationLayer[] normalizations =
            [.. saved.Network.Nodes.Select(node => node.Layer).OfType<BatchNormalizationLayer>()];

        CollectionAssert.AreEqual(shape, saved.Network.InputShape.Dimensions.ToArray());
        Assert.HasCount(expected.GetProperty("normalizations").GetInt32(), normalizations);
        CollectionAssert.AreEquivalent(
            epsilons, normalizations.Select(layer => layer.Options.Epsilon!.Value).Distinct().ToArray());
        double torch = Reference.AssertClose(y, saved, x, "PyTorch");
        double runtime = Reference.AssertClose(
            Reference.Run(File.ReadAllBytes(PathOf($"{name}.onnx")), 2, x, shape), saved, x, "ONNX Runtime");
        Assert.IsLessThanOrEqualTo(Tolerance, Math.Max(torch, runtime));
        TestContext.WriteLine($"{name}: {torch:0.0e0} from PyTorch, {runtime:0.0e0} from ONNX Runtime");
    }

    [TestMethod]
    public void The_ResNet18_of_ML_NET_s_package_gives_what_ONNX_Runtime_gives()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "DnnImageModels", "ResNet18Onnx", "ResNet18.onnx");
        SavedNetwork saved = OnnxImport.Load(path);
        BatchNormalizationOptions[] options =
        [
            .. saved.Network.Nodes.Select(node => node.Layer).OfType<BatchNormalizationLayer>()
                .Select(layer => layer.Options),
        ];
        Assert.HasCount(22, options);
        Assert.IsTrue(options.All(each => each is { Epsilon: 1e-5, Momentum: > 0.988 and < 0.989 }));
        Assert.AreEqual(15_885_504 + 4 * 5_824, saved.Network.Nodes.Sum(node => node.ParameterCount));
        var first = (Conv2DLayer)saved.Network.Nodes[0].Layer;
        Assert.AreEqual(new Padding2D(3, 3, 2, 2), first.Padding);

        // The file takes one image at a time, and the network a batch.
        const int size = 3 * 224 * 224;
        float[] images = Sample.Floats(2 * size, seed: 1, mean: 0, deviation: 60);
        byte[] file = File.ReadAllBytes(path);
        float[] expected =
            [.. images.Chunk(size).SelectMany(image => Reference.Run(file, 1, image, [3, 224, 224]))];
        double difference = Reference.AssertClose(expected, saved, images);
        Assert.IsLessThanOrEqualTo(Tolerance, difference);
        TestContext.WriteLine($"{difference:0.0e0} from ONNX Runtime");
    }
}
