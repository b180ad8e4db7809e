
namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>Networks with states that no training gave.</summary>
static class Samples
{
    /// <summary>Every kind of layer, blocks in blocks, branches, some of it frozen.</summary>
    public static Network Every { get; } = Network.Input(2, 8, 7)
        .Conv2D(3, (3, 2), stride: (2, 1), padding: (1, 0), useBias: false, name: "stem")
        .BatchNormalization(StoredOptions.Unusual)
        .ReLU()
        .MaxPool2D((3, 2), stride: (1, 1), padding: (1, 1))
        .AveragePool2D((2, 2), padding: (1, 0))
        .Append(
            Network.Input(3, 3, 3)
                .Conv2D(4, 2, padding: 1)
                .Append(Network.Input(4, 4, 4).BatchNormalization(axis: 2).LeakyReLU(0.125).Gelu(), "deep")
                .BatchNormalization(StoredOptions.Bare),
            "Größe 大")
        .SiLU()
        .RandomHorizontalFlip()
        .RandomCrop(1)
        .Residual(Network.Input(4, 4, 4).Conv2D(4, 3, padding: 1), Network.Input(4, 4, 4).BatchNormalization())
        .HardSwish()
        .Concat("joined", Network.Input(4, 4, 4), Network.Input(4, 4, 4).ReLU())
        .HardSigmoid()
        .Conv2D(8, 3, padding: Padding2D.Same, useBias: false, dilation: (1, 2), groups: 8)
        .Multiply(Network.Input(8, 4, 4).GlobalAveragePool2D())
        .Append(Network.Input(8, 4, 4).GlobalAveragePool2D())
        .Dropout(0.25)
        .Flatten()
        .Dense(5, useBias: false)
        .Sigmoid()
        .ReLU6()
        .Dense(3)
        .Tanh()
        .Freeze("Größe 大/deep");

    public static SavedNetwork Saved(Network network, int seed = 1)
    {
        NetworkState state = network.Initialize(seed);
        foreach (NetworkNode node in network.Nodes)
        {
            if (node.Layer is BatchNormalizationLayer layer)
                state = state.With(node.Path, new LayerState(
                    Sample.State(layer.Options, layer.Layout(node.Input, 1).Channels, seed++)));
            else if (state.TryGet(node.Path) is { } known)
                state = state.With(node.Path, new LayerState(
                    Sample.Floats(known.Kernel.Length, seed++), Sample.Floats(known.Bias.Length, seed++)));
        }
        return new SavedNetwork(network, state);
    }
}
