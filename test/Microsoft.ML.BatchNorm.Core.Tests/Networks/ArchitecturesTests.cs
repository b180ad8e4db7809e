using System.IO.Compression;

namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>
/// Networks that are known by name, against real PyTorch. <c>torchvision.txt.gz</c> has the names and shapes of the
/// <c>state_dict</c> of torchvision's modules, in their order. The outputs are every 125th of what PyTorch computes in
/// double of an image, with an eighth of the channels; <see cref="Uniform"/> gives image and weights.
/// </summary>
[TestClass]
public class ArchitecturesTests
{
    sealed record Known(
        Func<int, TensorShape?, Network> Make, int Learned, string Features, string FeatureShape, double[] Outputs);

    static readonly Dictionary<string, Known> all = new()
    {
        ["resnet18"] = new(
            Architectures.ResNet18, 11_689_512, "avgpool", "[512]",
            [
                7.221460714131936, 8.73320734733975, 16.980839571761894, -15.338343935842218, -0.7657651311117526,
                12.819286287734677, 4.718173271551906, 23.710019661723305,
            ]),
        ["resnet34"] = new(
            Architectures.ResNet34, 21_797_672, "layer4", "[512, 7, 7]",
            [
                -315.6337121542733, 132.44355405799723, -1126.9841980823276, -45.49673562910911, -231.85625327368462,
                1.60398357496139, 194.23911751414977, -550.5182379828498,
            ]),
        ["resnet50"] = new(
            Architectures.ResNet50, 25_557_032, "layer3", "[1024, 14, 14]",
            [
                -821.311121778914, 106.3957718126054, 1455.3184343794728, -68.36718191502109, -440.0493485067574,
                739.7483635375802, -477.1043457091092, -440.65543817208317,
            ]),
        ["mobilenet_v2"] = new(
            Architectures.MobileNetV2, 3_504_872, "features/18", "[1280, 7, 7]",
            [
                -0.09823512511141508, -1.8593523233893845, 1.0274319253752089, -0.5119913019118757,
                -0.7183594465610881, -1.10770020710577, -1.5420147567732776, 0.7670191397708663,
            ]),
        ["densenet121"] = new(
            Architectures.DenseNet121, 7_978_856, "relu", "[1024, 7, 7]",
            [
                -0.08735081894094704, -3.303373908758395, -0.7267711240180406, -0.14285961088798582,
                -1.5012108320782724, 0.8162723431344261, -0.1590672665097419, 0.8990180817622199,
            ]),
        ["efficientnet_b0"] = new(
            Architectures.EfficientNetB0, 5_288_548, "features/8", "[1280, 7, 7]",
            [
                -0.2720324463832646, 0.1497921592604963, -0.23550031256906462, 0.16237760749189858,
                0.11685988473569703, 0.016809111496706275, -0.5328714106516941, 0.6560901901996983,
            ]),
    };

    /// <summary>What PyTorch computes in double of two images, with the weights of the file.</summary>
    static readonly double[] narrowOutputs =
    [
        -0.40108377604513895, -0.1494956645069511, 0.397922431957525, 1.1167538575413865, 0.1452174828157376,
        0.31364326922066743, -1.3610058091670598, 1.1180194535765238, -0.3063685897260696, 1.4952672140005525,
        -0.33274168430069123, 0.5012046874525251, 1.0535393749415451, -0.5150896310300986, 1.069526323493221,
        0.6167556677755496, -1.3109172032360443, 1.1965055696670683, 0.6013172496299463, 1.5568133011822645,
    ];

    static readonly ILookup<string, (string Tensor, int[] Shape)> torchvision = ReadTorchvision();

    static IEnumerable<object[]> Names => all.Keys.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void A_thousand_classes_take_the_published_number_of_learned_parameters(string name)
    {
        Network network = all[name].Make(1000, null);
        Assert.AreEqual(all[name].Learned, network.Nodes.Sum(node => node.TrainableCount));
        Assert.AreEqual("[3, 224, 224]", network.InputShape.ToString());
        Assert.AreEqual(all[name].FeatureShape, network.Until(all[name].Features).OutputShape.ToString());
        Assert.AreEqual("[1000]", network.OutputShape.ToString());
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Classes_and_images_have_the_size_that_is_asked_for(string name)
    {
        Network network = all[name].Make(5, new(1, 40, 64));
        Assert.AreEqual("[1, 40, 64]", network.InputShape.ToString());
        Assert.AreEqual("[5]", network.OutputShape.ToString());
        Assert.AreEqual("[7]", network.WithHead(7).OutputShape.ToString());
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => all[name].Make(0, null));
        Assert.ThrowsExactly<ArgumentException>(() => all[name].Make(5, new(100)));
    }

    [TestMethod]
    public void An_image_that_is_too_small_is_an_error_that_names_the_layer() => StringAssert.Contains(
        Assert.ThrowsExactly<ArgumentException>(() => Architectures.DenseNet121(5, new(3, 16, 16))).Message,
        "Layer 'pool' (AveragePool2D) has an input of shape [512, 1, 1]");

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Tensors_have_torchvision_s_names_and_shapes(string name)
    {
        var tensors = new ExpectedTensors(
            all[name].Make(1000, null), TensorNaming.PyTorch, path => path.Replace('/', '.'));
        CollectionAssert.AreEquivalent(
            torchvision[name].Select(tensor => $"{tensor.Tensor} [{string.Join(", ", tensor.Shape)}]").ToArray(),
            tensors.Layers.SelectMany(layer => layer.Tensors).Where(tensor => !tensor.IsInDefinition)
                .Select(tensor => $"{tensor.Name} {tensor.Shape}").ToArray());
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Weights_under_torchvision_s_names_compute_what_PyTorch_does(string name)
    {
        Network network = Narrow(all[name].Make(1000, new(3, 33, 32)), 8);
        SavedNetwork loaded = network.LoadSafetensors(new MemoryStream(NarrowFile(name)));
        Assert.AreEqual(network, loaded.Network);
        float[] outputs = new NetworkModel(loaded.Network, loaded.State).Predict(Picture(1));
        IsClose(all[name].Outputs, [.. Enumerable.Range(0, 8).Select(i => outputs[i * 125])]);
    }

    [TestMethod]
    public void A_ResNet_18_that_PyTorch_wrote_computes_what_PyTorch_does()
    {
        SavedNetwork loaded = Narrow18.LoadSafetensors(File18);
        Assert.IsEmpty(loaded.IgnoredTensors);
        Assert.AreEqual(200, loaded.State["bn1"].BatchNormalization!.BatchesSeen);
        IsClose(narrowOutputs, new NetworkModel(loaded.Network, loaded.State).Predict(Picture(2)));
    }

    [TestMethod]
    public void The_stem_of_a_whole_ResNet_loads_if_the_rest_is_ignored()
    {
        SavedNetwork whole = Narrow18.LoadSafetensors(File18);
        Network stem = Narrow18.Until("layer1");
        Assert.AreEqual("layer1/1/relu", stem.Nodes[^1].Path);
        SavedNetwork loaded = stem.LoadSafetensors(File18, unexpected: UnexpectedTensors.Ignore);
        Assert.AreEqual(whole.State.For(stem), loaded.State);
        Assert.AreEqual(stem, loaded.Network);
        string[] rest =
        [
            .. torchvision["resnet18"].Select(tensor => tensor.Tensor)
                .Where(tensor => tensor.Split('.')[0] is not ("conv1" or "bn1" or "layer1"))
                .Order(StringComparer.Ordinal),
        ];
        CollectionAssert.AreEqual(rest, loaded.IgnoredTensors.ToArray());
        var error = Assert.ThrowsExactly<InvalidDataException>(() => stem.LoadSafetensors(File18));
        StringAssert.Contains(error.Message, "unexpected: \"fc.bias\", \"fc.weight\", \"layer2.0.bn1.bias\", ");
        StringAssert.EndsWith(
            error.Message, " If the network needs none of them, give unexpected: UnexpectedTensors.Ignore.");
    }

    [TestMethod]
    public void A_block_is_frozen_by_the_name_of_its_module()
    {
        Network network = Architectures.ResNet50(5, new(3, 32, 32)).Freeze("layer1", "layer3/4/bn2");
        foreach (NetworkNode node in network.Nodes)
            Assert.AreEqual(
                !node.Path.StartsWith("layer1/", StringComparison.Ordinal) && node.Path != "layer3/4/bn2",
                node.Layer.Trainable, node.Path);
    }

    [TestMethod]
    public void A_ResNet_18_trains_on_small_images()
    {
        Network network = Architectures.ResNet18(3, new(3, 64, 64));
        NetworkState state = network.Initialize(seed: 1);
        float[] images = Sample.Floats(4 * network.InputShape.Size, 2);
        var data = new TrainingData(4, images, new float[] { 0, 1, 2, 0 });
        var options = new TrainingOptions
        {
            Loss = Loss.SoftmaxCrossEntropy, Optimizer = Optimizer.Sgd(0.02), Epochs = 2, BatchSize = 4,
        };
        TrainingResult result = NetworkTrainer.Train(network, state, data, options);
        double[] losses = [.. result.History.Select(epoch => epoch.Loss)];
        Assert.IsTrue(losses[1] < losses[0] / 1.5, string.Join(", ", losses));
        foreach (string path in state.Paths)
            Assert.AreNotEqual(state[path], result.State[path], path);
    }

    /// <summary>ResNet-18 with a sixteenth of the channels.</summary>
    static Network Narrow18 { get; } = Narrow(Architectures.ResNet18(10, new(3, 33, 32)), 16);

    static string File18 => Path("resnet18-narrow.safetensors");

    /// <summary>A network with a part of the channels.</summary>
    static Network Narrow(Network network, int times) => Network.OfNodes(
        network.InputShape, network.Preset, network.Nodes.Select(node => (
            node.Path,
            node.Layer is Conv2DLayer conv
                ? conv with { Filters = Math.Max(1, conv.Filters / times), Groups = Math.Max(1, conv.Groups / times) }
                : node.Layer,
            node.Inputs)));

    /// <summary>
    /// A file with the tensors of torchvision's module, with an eighth of the channels and the values of
    /// <see cref="Uniform"/>.
    /// </summary>
    static byte[] NarrowFile(string name) => SafetensorsFile.Of([.. torchvision[name].Select((tensor, index) =>
    {
        int[] shape =
        [
            .. tensor.Shape.Select((size, axis) => axis > 1 || size is 1 or 3 or 1000 ? size : Math.Max(1, size / 8)),
        ];
        if (shape.Length == 0)
            return (tensor.Tensor, "I64", shape, SafetensorsFile.Bytes(3L));
        int length = shape.Aggregate(1, (product, size) => product * size);
        bool isScale = tensor.Tensor.EndsWith("weight", StringComparison.Ordinal)
            || tensor.Tensor.EndsWith("running_var", StringComparison.Ordinal);
        Func<double, double> value = shape.Length > 1 ? u => (2 * u - 1) * Math.Sqrt(6.0 / (length / shape[0]))
            : isScale ? u => 0.5 + u
            : u => (2 * u - 1) * 0.2;
        return (tensor.Tensor, "F32", shape, SafetensorsFile.Bytes(Uniform(index, length, value)));
    })]);

    static float[] Picture(int rows) => Uniform(1_000_000, rows * 3 * 33 * 32, u => 4 * u - 2);

    /// <summary>Numbers from 0 to 1 by a hash of tensor and element, as functions of which the values are.</summary>
    static float[] Uniform(int tensor, int length, Func<double, double> value)
    {
        float[] values = new float[length];
        for (int i = 0; i < length; i++)
        {
            uint hash = unchecked((uint)i + (uint)tensor * 0x9E3779B9);
            hash = unchecked((hash ^ hash >> 16) * 0x7FEB352D);
            hash = unchecked((hash ^ hash >> 15) * 0x846CA68B);
            values[i] = (float)value((hash ^ hash >> 16) / 4294967296.0);
        }
        return values;
    }

    static void IsClose(double[] expected, float[] actual)
    {
        double bound = 1e-5 * expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], bound, $"output {i}");
        Assert.HasCount(expected.Length, actual);
    }

    static ILookup<string, (string Tensor, int[] Shape)> ReadTorchvision()
    {
        using var reader = new StreamReader(new GZipStream(
            System.IO.File.OpenRead(Path("torchvision.txt.gz")), CompressionMode.Decompress));
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(' '))
            .ToLookup(words => words[0], words => (words[1], Array.ConvertAll(words[2..], int.Parse)));
    }

    static string Path(string name) => System.IO.Path.Combine(AppContext.BaseDirectory, "Networks", "Files", name);
}
