using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Networks that branch, of six features or images of [3, 6, 5], with three outputs.</summary>
static class Graphs
{
    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras with { Momentum = 0.9 };

    public static IEnumerable<string> Names => all.Select(entry => entry.Name);

    public static Network Named(string name) => all.Single(entry => entry.Name == name).Network;

    static readonly (string Name, Network Network)[] all =
    [
        ("an identity shortcut", Network.Input(6).Dense(9).Residual(Body(9)).ReLU().Dense(3)),
        (
            "a projection shortcut",
            Network.Input(6).Dense(9).BatchNormalization(keras).ReLU()
                .Residual(
                    Network.Input(9).Dense(17, useBias: false).BatchNormalization(keras).Tanh().Dense(5),
                    Network.Input(9).Dense(5, useBias: false).BatchNormalization(keras))
                .Tanh().Dense(3)
        ),
        ("a shortcut of the features", Network.Input(6).Residual(Body(6)).Residual(Body(6), name: "again").Dense(3)),
        ("a sum of a value with itself", Network.Input(6).Dense(9).Residual(Network.Input(9)).Tanh().Dense(3)),
        ("a residual block at the end", Network.Input(6).Dense(3).Residual(Network.Input(3).Dense(3).Tanh())),
        ("a frozen body", Network.Input(6).Dense(9).Residual(Body(9)).Dense(3).Freeze("residual")),
        (
            "a frozen shortcut",
            Network.Input(6).Dense(9).Residual(Body(9), Network.Input(9).Dense(9).BatchNormalization(keras)).Dense(3)
                .Freeze("residual/shortcut")
        ),
        (
            "all frozen before a shortcut",
            Network.Input(6).Dense(9).BatchNormalization(keras).ReLU().Residual(Body(9)).Dense(3)
                .Freeze("dense", "batch_normalization")
        ),
        ("a learning shortcut of frozen layers", Network.Input(6).Dense(9).Tanh().Residual(
            Network.Input(9).Dense(9).Freeze("*"), Network.Input(9).Dense(9)).Dense(3).Freeze("dense")),
        (
            "branches",
            Network.Input(6).Dense(9).BatchNormalization(keras).ReLU()
                .Concat(
                    Network.Input(9).Dense(4).BatchNormalization(keras).ReLU(), Network.Input(9),
                    Network.Input(9).Dense(18).Tanh())
                .Dense(3)
        ),
        ("branches of branches", Network.Input(6).Concat(
            Network.Input(6).Dense(4).Concat(Network.Input(4).Tanh(), Network.Input(4).Dense(3).Sigmoid()),
            Network.Input(6).Dense(5).Residual(Body(5))).BatchNormalization(keras).Dense(3)),
        ("a product of two branches", Network.Input(6).Dense(9).BatchNormalization(keras).ReLU()
            .Multiply(Network.Input(9).Dense(4).Tanh().Dense(9).Sigmoid()).Dense(3)),
        ("a value times itself", Network.Input(6).Dense(9).Tanh().Multiply(Network.Input(9)).Dense(3)),
        (
            "squeeze and excitation",
            Network.Input(3, 6, 5).Conv2D(18, 3, padding: 1, useBias: false).BatchNormalization(keras).ReLU()
                .Multiply(Network.Input(18, 6, 5).GlobalAveragePool2D().Dense(4).ReLU().Dense(18).Sigmoid())
                .GlobalAveragePool2D().Dense(3)
        ),
        (
            "an inverted residual block",
            Network.Input(3, 6, 5).Conv2D(4, 1).Residual(
                    Network.Input(4, 6, 5).Conv2D(20, 1, useBias: false).BatchNormalization(keras).ReLU6()
                        .Conv2D(20, 3, padding: 1, useBias: false, groups: 20).BatchNormalization(keras).ReLU6()
                        .Conv2D(4, 1, useBias: false).BatchNormalization(keras))
                .Conv2D(8, 3, stride: 2, padding: Padding2D.Same, groups: 4).Tanh().GlobalAveragePool2D().Dense(3)
        ),
        (
            "groups, dilation and padding per side",
            Network.Input(3, 6, 5).Conv2D(6, 3, padding: new Padding2D(0, 1, 2, 0), useBias: false)
                .BatchNormalization(keras).ReLU()
                .Conv2D(9, (2, 3), padding: 2, dilation: (2, 1), groups: 3).Tanh()
                .Conv2D(6, 1, groups: 3, useBias: false).GlobalAveragePool2D().Dense(3)
        ),
        (
            "pools that end beyond the image",
            Network.Input(3, 6, 5).Conv2D(4, 1).Tanh()
                .Concat(
                    Network.Input(4, 6, 5).MaxPool2D(3, stride: 2, ceilMode: true),
                    Network.Input(4, 6, 5).AveragePool2D(3, stride: 2, ceilMode: true),
                    Network.Input(4, 6, 5).AveragePool2D(
                        2, stride: (2, 2), padding: Padding2D.Same, countIncludePad: false)
                        .Conv2D(4, (1, 2)),
                    Network.Input(4, 6, 5).AveragePool2D(3, stride: 2, padding: new Padding2D(1, 1, 0, 0)),
                    // What the last windows see beyond the padding makes it as wide as on the other side.
                    Network.Input(4, 6, 5).AveragePool2D(
                        (2, 1), stride: (2, 1), padding: new Padding2D(1, 0, 0, 0), ceilMode: true)
                        .MaxPool2D((2, 4), stride: 1))
                .Flatten().Dense(3)
        ),
        ("a value that four read", FourReaders()),
        ("a normalization that two activations read", TwoActivations()),
        (
            "nested residual blocks",
            Network.Input(6).Dense(9).Residual(
                Network.Input(9).Dense(9).Residual(Body(9)).BatchNormalization(keras)).LeakyReLU().Dense(3)
        ),
        (
            "residual images",
            Network.Input(3, 6, 5).Conv2D(4, 3, padding: 1, useBias: false).BatchNormalization(keras).ReLU()
                .Residual(ImageBody(4, 4)).ReLU()
                .Residual(
                    ImageBody(4, 6, stride: 2),
                    Network.Input(4, 6, 5).Conv2D(6, 1, stride: 2, useBias: false).BatchNormalization(keras))
                .ReLU().GlobalAveragePool2D().Dense(3)
        ),
        (
            "branches of images",
            Network.Input(3, 6, 5).Concat(
                    Network.Input(3, 6, 5).Conv2D(4, 1).ReLU(),
                    Network.Input(3, 6, 5).AveragePool2D(3, stride: 1, padding: 1), Network.Input(3, 6, 5),
                    Network.Input(3, 6, 5).Conv2D(5, 3, padding: 1, useBias: false).BatchNormalization(keras).Tanh())
                .BatchNormalization(keras).Conv2D(2, 2).Flatten().Dense(3)
        ),
        ("a dense block", DenseBlock()),
        (
            "flattened images and others",
            Network.Input(3, 6, 5).MaxPool2D().Concat(
                    Network.Input(3, 3, 2).Flatten(), Network.Input(3, 3, 2).Conv2D(2, 2).BatchNormalization(keras)
                        .Flatten())
                .Dropout(0).Dense(3)
        ),
    ];

    static Network Body(int units) =>
        Network.Input(units).Dense(units + 8, useBias: false).BatchNormalization(keras).ReLU()
            .Dense(units, useBias: false).BatchNormalization(keras);

    static Network ImageBody(int channels, int filters, int stride = 1) =>
        Network.Input(channels, 6, 5).Conv2D(filters, 3, stride, padding: 1, useBias: false).BatchNormalization(keras)
            .ReLU().Conv2D(filters, 3, padding: 1, useBias: false).BatchNormalization(keras);

    static Network FourReaders() => Network.OfNodes(
        new(6), null,
        [
            Node("first", new DenseLayer(9), -1),
            Node("norm", new BatchNormalizationLayer(keras), 0),
            Node("act", new ActivationLayer(Activation.ReLU), 1),
            Node("left", new DenseLayer(9), 2),
            Node("left_norm", new BatchNormalizationLayer(keras), 3),
            Node("right", new DenseLayer(9) { UseBias = false }, 2),
            Node("sum", new AddLayer(), 2, 4, 5, 2),
            Node("last", new DenseLayer(3), 6),
        ]);

    static Network TwoActivations() => Network.OfNodes(
        new(6), null,
        [
            Node("first", new DenseLayer(9), -1),
            Node("norm", new BatchNormalizationLayer(keras), 0),
            Node("one", new ActivationLayer(Activation.ReLU), 1),
            Node("two", new ActivationLayer(Activation.LeakyReLU), 1),
            Node("joined", new ConcatLayer(), 2, 3),
            Node("last", new DenseLayer(3), 4),
        ]);

    /// <summary>Each layer reads all before it, and a normalization and its activation stand apart in the list.</summary>
    static Network DenseBlock() => Network.OfNodes(
        new(3, 6, 5), null,
        [
            Node("norm", new BatchNormalizationLayer(keras), -1),
            Node("conv", new Conv2DLayer(2, 3) { Padding = 1, UseBias = false }, -1),
            Node("act", new ActivationLayer(Activation.ReLU), 0),
            Node("one", new ConcatLayer(), -1, 1, 2),
            Node("block/norm", new BatchNormalizationLayer(keras), 3),
            Node("block/act", new ActivationLayer(Activation.LeakyReLU), 4),
            Node("block/conv", new Conv2DLayer(4, 3) { Padding = 1 }, 5),
            Node("two", new ConcatLayer(), 3, 6),
            Node("norm_2", new BatchNormalizationLayer(keras), 7),
            Node("average", new GlobalAveragePool2DLayer(), 8),
            Node("last", new DenseLayer(3), 9),
        ]);

    public static (string Path, Layer Layer, ImmutableArray<int> Inputs) Node(
        string path, Layer layer, params ImmutableArray<int> inputs) => (path, layer, inputs);
}
