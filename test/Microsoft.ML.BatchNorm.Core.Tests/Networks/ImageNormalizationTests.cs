using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class ImageNormalizationTests
{
    const int Pixels = 20;

    static readonly float[] image = [.. Enumerable.Range(0, 3 * Pixels).Select(i => i * 37 % 256 * 1f)];

    static IEnumerable<object[]> All =>
    [
        // Of a red, a green and a blue pixel of 255, 0 and 51: torchvision.transforms.Normalize, and
        // keras.applications.imagenet_utils.preprocess_input.
        ["torchvision", ImageNormalization.Torchvision, 2.2489083, -2.0357143, -0.9155556],
        ["tf", ImageNormalization.TensorFlow, 1.0, -1.0, -0.6],
        ["caffe", ImageNormalization.Caffe, -52.939, -116.779, 131.32],
    ];

    [TestMethod]
    [DynamicData(nameof(All))]
    public void Its_numbers_are_those_of_torchvision_and_Keras(
        string name, ImageNormalization normalization, double first, double second, double third)
    {
        SavedNetwork network = normalization.ToNetwork(1, 1);
        float[] y = new NetworkModel(network.Network, network.State).Predict([255, 0, 51]);
        foreach ((double expected, float actual) in new[] { first, second, third }.Zip(y))
            Assert.AreEqual(expected, actual, 1e-5 * Math.Abs(expected), name);
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void In_front_of_a_network_it_is_the_network_on_normalized_pixels(
        string name, ImageNormalization normalization, double first, double second, double third)
    {
        Network network = Network.Input(3, 4, 5).WithPreset(NetworkPreset.PyTorch)
            .Conv2D(4, 3, padding: 1).BatchNormalization().ReLU().Flatten().Dense(3);
        SavedNetwork saved = new(network, network.Initialize(1)), whole = saved.WithNormalization(normalization);
        float[] normalized = new float[image.Length];
        for (int i = 0; i < image.Length; i++)
        {
            int channel = i / Pixels, color = normalization.ReverseColors ? 2 - channel : channel;
            normalized[i] = (float)((image[color * Pixels + i % Pixels] * normalization.Scale
                - normalization.Mean[channel]) / normalization.Deviation[channel]);
        }
        float[] expected = new NetworkModel(network, saved.State).Predict(normalized);
        float[] actual = new NetworkModel(whole.Network, whole.State).Predict(image);
        Agreement.Within(1e-5, Sample.Widen(expected), actual, name);
        Assert.AreEqual(NetworkPreset.PyTorch, whole.Network.Preset);
        Assert.AreEqual(saved.State, whole.State.For(network));
        using var stream = new MemoryStream();
        whole.Network.Save(stream, whole.State);
        stream.Position = 0;
        Assert.AreEqual(whole, Network.Load(stream));
    }

    [TestMethod]
    public void Training_leaves_it_alone_whatever_it_trains()
    {
        Network network = Network.Input(3, 4, 5).Conv2D(4, 3).BatchNormalization().ReLU().Flatten().Dense(2);
        SavedNetwork whole = new SavedNetwork(network, network.Initialize(1)).WithNormalization(ImageNormalization.Caffe);
        var data = new TrainingData(2, new float[][] { image, image }.SelectMany(x => x).ToArray(), new float[] { 0, 1 });
        var options = new TrainingOptions { Epochs = 3, RecomputeStatistics = true };
        NetworkState after = NetworkTrainer.Train(
            whole.Network, whole.State, data, options,
            FineTune.HeadThenAll(1, 2, 0.1, 0.1, FineTuneBatchNormalization.Train)).State;
        foreach (string path in new[] { "reverse_colors", "image_normalization" })
            Assert.AreEqual(whole.State[path], after[path]);
        Assert.AreNotEqual(whole.State["conv2d"], after["conv2d"]);
    }

    [TestMethod]
    public void It_is_a_value()
    {
        ImmutableArray<double> mean = [1, 2], deviation = [3, 4];
        var one = new ImageNormalization(mean, deviation);
        Assert.AreEqual(one, new ImageNormalization([1, 2], [3, 4]));
        Assert.AreEqual(one.GetHashCode(), new ImageNormalization([1, 2], [3, 4]).GetHashCode());
        Assert.AreNotEqual(one, one with { Scale = 2 });
        Assert.AreNotEqual(one, one with { ReverseColors = true });
        Assert.AreNotEqual(one, new ImageNormalization([1, 2], [3, 5]));
    }

    [TestMethod]
    public void Numbers_and_networks_that_do_not_fit_are_errors()
    {
        Assert.ThrowsExactly<ArgumentException>(() => new ImageNormalization([], []));
        Assert.ThrowsExactly<ArgumentException>(() => new ImageNormalization([1, 2], [1]));
        Assert.ThrowsExactly<ArgumentException>(() => new ImageNormalization([1], default));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new ImageNormalization([1], [0]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new ImageNormalization([double.NaN], [1]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ImageNormalization.Caffe with { Scale = 0 });
        foreach (Network network in new[] { Network.Input(3), Network.Input(1, 4, 4), Network.Input(3, 4) })
        {
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(() => new SavedNetwork(network, network.Initialize())
                    .WithNormalization(ImageNormalization.Torchvision)).Message,
                "the normalization is for 3 channels, height and width");
        }
        SavedNetwork twice = ImageNormalization.TensorFlow.ToNetwork(4, 4);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => twice.WithNormalization(ImageNormalization.Caffe)).Message,
            "has a layer 'image_normalization' already");
    }

    [TestMethod]
    public void A_network_in_front_leaves_all_paths_as_they_are()
    {
        Network body = Network.Input(2, 4, 4).Conv2D(2, 1);
        Network network = Network.Input(2, 4, 4).Conv2D(2, 1).Residual(body).Flatten().Dense(3);
        Network whole = network.Prepend(Network.Input(2, 4, 4).RandomHorizontalFlip().RandomCrop(1));
        CollectionAssert.AreEqual(
            new[] { "random_horizontal_flip", "random_crop", "conv2d", "residual/conv2d", "residual/add", "flatten", "dense" },
            whole.Nodes.Select(node => node.Path).ToArray());
        NetworkState state = network.Initialize(1);
        whole.CheckState(state);
        float[] x = Sample.Floats(32, 1);
        CollectionAssert.AreEqual(new NetworkModel(network, state).Predict(x), new NetworkModel(whole, state).Predict(x));
        Assert.AreEqual(network, network.Prepend(Network.Input(2, 4, 4)));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.Prepend(Network.Input(4, 4, 2))).Message,
            "has an output of shape [4, 4, 2]; this one needs [2, 4, 4]");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.Prepend(network.Until("conv2d"))).Message,
            "has a layer 'conv2d' already");
    }
}
