namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class DefinitionShapeTests
{
    static IEnumerable<object[]> Chains =>
    [
        [Network.Input(4).Dense(3), "[3]"],
        [Network.Input(3, 32, 32).Conv2D(8, 3), "[8, 30, 30]"],
        [Network.Input(3, 32, 32).Conv2D(8, 3, padding: 1), "[8, 32, 32]"],
        [Network.Input(3, 32, 31).Conv2D(8, (3, 5), stride: (2, 3), padding: (1, 2)), "[8, 16, 11]"],
        [Network.Input(3, 7, 6).MaxPool2D(), "[3, 3, 3]"],
        [Network.Input(3, 7, 6).MaxPool2D((3, 2), stride: 1, padding: (1, 0)), "[3, 7, 5]"],
        [Network.Input(3, 7, 6).AveragePool2D(3), "[3, 2, 2]"],
        [Network.Input(3, 32, 31).Conv2D(8, 3, stride: 2, padding: Padding2D.Same), "[8, 16, 16]"],
        [Network.Input(3, 32, 31).Conv2D(8, 3, padding: new Padding2D(0, 1, 2, 3), dilation: 2), "[8, 30, 31]"],
        [Network.Input(3, 7, 6).MaxPool2D(2, stride: 2, ceilMode: true), "[3, 4, 3]"],
        [Network.Input(3, 7, 6).MaxPool2D(1, stride: 2, ceilMode: true), "[3, 4, 3]"],
        [Network.Input(3, 7, 6).Multiply(Network.Input(3, 7, 6).GlobalAveragePool2D()), "[3, 7, 6]"],
        [Network.Input(3, 7, 6).GlobalAveragePool2D(), "[3]"],
        [Network.Input(3, 7, 6).Flatten(), "[126]"],
        [
            Network.Input(3, 7, 6).BatchNormalization().ReLU().LeakyReLU().Gelu().Sigmoid().Tanh().SiLU().HardSwish()
                .HardSigmoid().ReLU6().Dropout(0.5),
            "[3, 7, 6]",
        ],
        [Network.Input(2).Append(Network.Input(2).Append(Network.Input(2).Dense(5))), "[5]"],
        [Network.Input(9, 2), "[9, 2]"],
    ];

    [TestMethod]
    [DynamicData(nameof(Chains))]
    public void A_network_knows_the_shape_that_comes_out(object network, string shape) =>
        Assert.AreEqual(shape, ((Network)network).OutputShape.ToString());

    static IEnumerable<object[]> Misfits =>
    [
        [() => Network.Input(2, 3).Dense(4), "'dense' (Dense)", "shape [2, 3]", "[inputs]; put a Flatten"],
        [() => Network.Input(2, 3, 3).Conv2D(4, 5, padding: (0, 1), name: "c"), "'c' (Conv2D)", "shape [2, 3, 3]",
            "[channels, height, width] with room for a window of 5×5 and a padding of 0×1"],
        [() => Network.Input(20).Conv2D(4, 5), "'conv2d'", "shape [20]", "[channels, height, width]"],
        [() => Network.Input(2, 3, 3).MaxPool2D(4), "'max_pooling2d' (MaxPool2D)", "shape [2, 3, 3]",
            "a window of 4×4"],
        [() => Network.Input(2, 9, 9).AveragePool2D(3, padding: 3), "'average_pooling2d'", "shape [2, 9, 9]",
            "a padding that is smaller than the window, not 3×3 for 3×3"],
        [() => Network.Input(4, 9, 9).Conv2D(6, 3, groups: 4), "'conv2d'", "shape [4, 9, 9]",
            "a number of channels and of filters (6) that are multiples of its 4 groups"],
        [() => Network.Input(4, 9, 9).Conv2D(6, 3, dilation: 5), "'conv2d'", "shape [4, 9, 9]",
            "a window of 3×3 and a padding of 0×0, dilated by 5×5"],
        [() => Network.Input(4, 9, 9).Multiply(Network.Input(4, 9, 9).Flatten()), "'multiply' (Multiply)",
            "inputs of shapes [4, 9, 9] and [324]", "one factor per channel"],
        [() => Network.Input(2, 3).GlobalAveragePool2D(), "'global_average_pooling2d'", "[2, 3]",
            "[channels, height, width]"],
        [() => Network.Input(5).BatchNormalization(axis: 2, name: "bn"), "'bn' (BatchNormalization)", "shape [5]",
            "axis 2"],
        [() => Network.Input(5).BatchNormalization(axis: 0), "'batch_normalization'", "shape [5]", "axis 0"],
        [() => Network.Input(5).ReLU().Append(Network.Input(6).ReLU(), "head"), "'head' (Network)", "shape [5]", "[6]"],
        [() => Network.Input(100_000).Dense(100_000, name: "vast"), "'vast' (Dense)", "shape [100000]",
            "kernel of [100000, 100000] takes 40,000,000,000 bytes"],
        [() => Network.Input(1, 50_000, 1).Conv2D(50_000, 1), "'conv2d'", "[1, 50000, 1]",
            "output of [50000, 50000, 1]"],
        [() => Network.Input(1, 5, 5).Conv2D(1, 60_000, padding: 60_000), "'conv2d'", "[1, 5, 5]",
            "kernel of [1, 1, 60000, 60000] takes"],
        [() => Network.Input(1, 5, 5).Conv2D(1, 1, padding: int.MaxValue), "'conv2d'", "[1, 5, 5]", "padding of"],
    ];

    [TestMethod]
    [DynamicData(nameof(Misfits))]
    public void A_layer_that_does_not_fit_is_named_with_the_shape_it_has_and_the_one_it_needs(
        Func<Network> create, string layer, string shape, string needed)
    {
        string message = Assert.ThrowsExactly<ArgumentException>(() => create()).Message;
        StringAssert.Contains(message, layer);
        StringAssert.Contains(message, shape);
        StringAssert.Contains(message, needed);
    }

    static IEnumerable<object[]> OutOfRange =>
    [
        ["Units", () => Network.Input(2).Dense(0)],
        ["Filters", () => Network.Input(2, 3, 3).Conv2D(-1, 3)],
        ["KernelSize", () => Network.Input(2, 3, 3).Conv2D(1, (3, 0))],
        ["Stride", () => Network.Input(2, 3, 3).Conv2D(1, 3, stride: 0)],
        ["Padding", () => Network.Input(2, 3, 3).Conv2D(1, 3, padding: (-1, 0))],
        ["PoolSize", () => Network.Input(2, 3, 3).MaxPool2D(0)],
        ["Stride", () => Network.Input(2, 3, 3).MaxPool2D(2, stride: (1, 0))],
        ["Padding", () => Network.Input(2, 3, 3).AveragePool2D(2, padding: -1)],
        ["Function", () => new Pool2DLayer((Pooling)9, 2)],
        ["Function", () => new ActivationLayer((Activation)9)],
        ["NegativeSlope", () => Network.Input(2).LeakyReLU(double.NaN)],
        ["Rate", () => Network.Input(2).Dropout(1)],
        ["Rate", () => Network.Input(2).Dropout(double.NaN)],
        ["preset", () => Network.Input(2).WithPreset((NetworkPreset)9)],
        ["value", () => KernelInitializer.Of(double.NaN)],
        ["dimensions", () => Network.Input(2, 0)],
    ];

    [TestMethod]
    [DynamicData(nameof(OutOfRange))]
    public void A_value_out_of_range_is_named(string name, Func<object> create) =>
        Assert.AreEqual(name, Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => create()).ParamName);

    [TestMethod]
    public void A_shape_has_from_one_to_32_positive_dimensions_whose_product_is_an_array_s_length()
    {
        var shape = new TensorShape(3, 4, 5);
        Assert.AreEqual((3, 60, 4, "[3, 4, 5]"), (shape.Rank, shape.Size, shape[1], shape.ToString()));
        CollectionAssert.AreEqual((int[])[7, 3, 4, 5], shape.WithRows(7));
        Assert.AreEqual(new TensorShape(3, 4, 5), shape);
        Assert.AreEqual(new TensorShape(3, 4, 5).GetHashCode(), shape.GetHashCode());
        Assert.AreNotEqual(new TensorShape(3, 20), shape);
        Assert.ThrowsExactly<ArgumentException>(() => new TensorShape());
        Assert.ThrowsExactly<ArgumentException>(() => new TensorShape(1 << 16, 1 << 16));
        Assert.ThrowsExactly<ArgumentException>(() => new TensorShape(1 << 30, 1 << 30, 1 << 30, 1 << 30));
        Assert.ThrowsExactly<ArgumentException>(() => new TensorShape([.. Enumerable.Repeat(1, 33)]));
        Assert.AreEqual(1, new TensorShape([.. Enumerable.Repeat(1, 32)]).Size);
    }

    [TestMethod]
    public void Null_layers_networks_and_initializers_are_errors()
    {
        Network network = Network.Input(2);
        Assert.ThrowsExactly<ArgumentNullException>(() => network.Add(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.Append(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => Network.Of(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => Network.Of(new TensorShape(2), [null!]));
        Assert.ThrowsExactly<ArgumentNullException>(
            () => new BatchNormalizationLayer((BatchNormalizationOptions)null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => new DenseLayer(1) { KernelInitializer = null! });
        Assert.ThrowsExactly<ArgumentNullException>(() => new Conv2DLayer(1, 1) { BiasInitializer = null! });
        Assert.ThrowsExactly<ArgumentNullException>(() => new DenseLayer(1) { Name = null! });
        Assert.ThrowsExactly<ArgumentNullException>(() => new ActivationLayer(Activation.ReLU).OutputShape(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => new DropoutLayer(0).OutputShape(null!));
    }
}
