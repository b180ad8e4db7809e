namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Networks to be saved, and loading by one function.</summary>
static class SavedNetworks
{
    /// <summary>
    /// Every kind of layer, every kernel initializer, blocks in blocks, branches, some of it frozen.
    /// </summary>
    public static Network Every { get; } = Network.Input(2, 8, 7)
        .WithPreset(NetworkPreset.PyTorch)
        .Conv2D(3, (3, 2), stride: (2, 1), padding: (1, 0), useBias: false, KernelInitializer.HeNormal, name: "stem")
        .BatchNormalization(StoredOptions.Unusual)
        .ReLU()
        .MaxPool2D((3, 2), stride: (1, 1), padding: (1, 1))
        .AveragePool2D()
        .Append(
            Network.Input(3, 2, 3)
                .Conv2D(4, 2, padding: 1, kernelInitializer: KernelInitializer.HeUniform)
                .Append(Network.Input(4, 3, 4).BatchNormalization(axis: 2).LeakyReLU(0.125).Gelu(), "deep")
                .BatchNormalization(StoredOptions.Bare),
            "Größe 大")
        .SiLU()
        .RandomHorizontalFlip(0.25)
        .RandomHorizontalFlip()
        .RandomCrop(2)
        .RandomCrop(1)
        .Residual(Network.Input(4, 3, 4).Conv2D(4, 3, padding: 1), Network.Input(4, 3, 4).BatchNormalization())
        .HardSwish()
        .Concat("joined", Network.Input(4, 3, 4), Network.Input(4, 3, 4).ReLU())
        .HardSigmoid()
        .Conv2D(8, (1, 2), padding: new Padding2D(0, 1, 0, 0), useBias: false, dilation: (1, 2), groups: 4)
        .AveragePool2D(padding: Padding2D.Same, ceilMode: true, countIncludePad: false)
        .Multiply(Network.Input(8, 2, 2).GlobalAveragePool2D())
        .Append(Network.Input(8, 2, 2).GlobalAveragePool2D())
        .Dropout(0.25)
        .Flatten()
        .Dense(5, useBias: false, kernelInitializer: KernelInitializer.GlorotNormal)
        .Sigmoid()
        .ReLU6()
        .WithPreset(NetworkPreset.Keras)
        .Add(new DenseLayer(3)
        {
            BiasInitializer = KernelInitializer.Of(0.5),
            KernelInitializer = KernelInitializer.Zeros,
            Trainable = false,
        })
        .Tanh()
        .Freeze("Größe 大/deep");

    /// <summary>Modules whose bytes nothing but libtorch reads.</summary>
    public static Network Scripts { get; } = Network.Of(
        new(4), new TorchScriptLayer([1, 2, 3], new(4), new(2, 3)),
        new TorchScriptLayer([4], new(2, 3), new(5)) { Name = "frozen", Trainable = false });

    public static NetworkState State(Network network, int seed = 1)
    {
        NetworkState state = network.Initialize(seed);
        foreach (NetworkNode node in network.Nodes)
        {
            if (node.Layer is BatchNormalizationLayer layer)
                state = state.With(
                    node.Path, new LayerState(Sample.State(layer.Options, layer.Channels(node.Input), seed++)));
            else if (state.TryGet(node.Path) is { } known)
                state = state.With(
                    node.Path,
                    new LayerState(
                        Sample.Floats(known.Kernel.Length, seed++), Sample.Floats(known.Bias.Length, seed++)));
        }
        return state;
    }

    public static byte[] Save(Network network, NetworkState state)
    {
        var stream = new MemoryStream();
        network.Save(stream, state);
        return stream.ToArray();
    }

    public static SavedNetwork Load(byte[] bytes) => Network.Load(new TrickleStream(bytes, int.MaxValue));

    public static byte[] SaveSafetensors(
        Network network, NetworkState state, TensorNaming naming = TensorNaming.PyTorch,
        Func<string, string?>? prefix = null)
    {
        var stream = new MemoryStream();
        network.SaveSafetensors(stream, state, naming, prefix);
        return stream.ToArray();
    }

    public static NetworkState LoadSafetensors(
        Network network, byte[] bytes, TensorNaming naming = TensorNaming.PyTorch,
        Func<string, string?>? prefix = null, NetworkState? onto = null, Func<string, string>? rename = null,
        UnexpectedTensors unexpected = UnexpectedTensors.Throw) =>
        network.LoadSafetensors(
            new TrickleStream(bytes, int.MaxValue), naming, prefix, onto, rename, unexpected).State;
}
