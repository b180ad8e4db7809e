namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>A network as a TorchSharp module.</summary>
sealed class NetworkModule : torch.nn.Module<Tensor, Tensor>
{
    /// <summary>The most values that the widest layer has for a chunk of rows.</summary>
    const int ChunkValues = 1 << 24;

    readonly Network network;
    readonly BatchShare? share;
    readonly MovingAverages averages;
    readonly CounterRandom random;
    bool isTraining = true;

    /// <param name="network">The network.</param>
    /// <param name="state">Its state.</param>
    /// <param name="isMixed">Whether layers multiply in bfloat16 in training.</param>
    /// <param name="device">The device.</param>
    /// <param name="share">This rank's rows of a batch; null if there is one rank.</param>
    /// <exception cref="NotSupportedException">A layer cannot be run; the message names it.</exception>
    public NetworkModule(
        Network network, NetworkState state, bool isMixed, torch.Device device, BatchShare? share = null)
        : base("Network")
    {
        (this.network, this.share) = (network, share);
        averages = new MovingAverages(device);
        random = new CounterRandom(device);
        Layers = [.. network.Nodes.Select(
            (node, index) => Layer(node, state.TryGet(node.Path), isMixed, device, index))];
        averages.Allocate();
        Parameters = new ParameterVector(Layers.SelectMany(layer => layer.Parameters), device);
        // The names are numbers, since a path may have characters that the name of a module cannot have.
        foreach ((int index, LayerModule layer) in Layers.Index())
            register_module($"{index}", layer);
    }

    public LayerModule[] Layers { get; }

    public ParameterVector Parameters { get; }

    public MovingAverages Averages => averages;

    public IEnumerable<BatchNormalizationModule> BatchNormalizations => Layers.OfType<BatchNormalizationModule>();

    public override Tensor forward(Tensor x)
    {
        var values = new Tensor?[Layers.Length];
        for (int i = 0; i < Layers.Length; i++)
        {
            values[i] = ValueOf(i, x, values);
            foreach (int value in network.Nodes[i].Inputs)
            {
                if (value >= 0 && network.Values.LastReaderOf(value) == i)
                    values[value]!.Dispose();
            }
        }
        return Layers.Length == 0 ? x : values[^1]!;
    }

    /// <summary>Computes the value of a layer.</summary>
    /// <param name="layer">The index of the layer.</param>
    /// <param name="x">The input of the network.</param>
    /// <param name="values">The values of the layers before it, at least those that it reads.</param>
    public Tensor ValueOf(int layer, Tensor x, IReadOnlyList<Tensor?> values) =>
        Layers[layer].Forward([.. network.Nodes[layer].Inputs.Select(value => value < 0 ? x : values[value]!)]);

    /// <summary>
    /// How many of so many rows go through the network at a time, if the result does not depend on that.
    /// </summary>
    public int ChunkRows(int rows)
    {
        // A layer without moving statistics normalizes with the statistics of the rows that it is given.
        bool needsAllRows = BatchNormalizations.Any(layer => layer.Options.UsesBatchStatistics(training: false));
        int widest = network.Nodes.Select(node => node.Output.Size).Append(network.InputShape.Size).Max();
        return needsAllRows ? Math.Max(1, rows) : Math.Clamp(ChunkValues / widest, 1, Math.Max(1, rows));
    }

    /// <summary>
    /// Computes the gradient of this rank's part of a loss. Batch normalizations that are synchronized take part in
    /// their reverse order, the same on all ranks.
    /// </summary>
    public void ComputeGradient(Tensor loss)
    {
        Parameters.ComputeGradient(loss, retainGraph: true);
        for (int i = Layers.Length - 1; i >= 0; i--)
            (Layers[i] as SynchronizedBatchNormalizationModule)?.Backward();
    }

    /// <summary>Asks for training mode or inference mode.</summary>
    public void SetTraining(bool training)
    {
        if (isTraining != training)
            train(training);
    }

    public override void train(bool train = true)
    {
        base.train(train);
        isTraining = train;
    }

    /// <inheritdoc cref="LayerModule.BeginStep"/>
    public void BeginStep(int seed, long step) => Array.ForEach(Layers, layer => layer.BeginStep(seed, step));

    /// <summary>Undoes what the layers have changed since <see cref="BeginStep"/>.</summary>
    public void UndoStep() => Array.ForEach(Layers, layer => layer.UndoStep());

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Parameters.Dispose();
            averages.Dispose();
            random.Dispose();
            Array.ForEach(Layers, layer => layer.Dispose());
        }
        base.Dispose(disposing);
    }

    LayerModule Layer(NetworkNode node, LayerState? state, bool isMixed, torch.Device device, int index) =>
        node.Layer switch
    {
        DenseLayer => new DenseModule(node, state!, isMixed),
        Conv2DLayer layer => new Conv2DModule(node, layer, state!, isMixed, device),
        BatchNormalizationLayer layer when share is not null && layer.Options.UsesBatchStatistics(training: true) =>
            Synchronized(node, layer, state!.BatchNormalization!, share, device),
        BatchNormalizationLayer layer when FusedBatchNormalizationModule.Fits(layer.Options) =>
            new FusedBatchNormalizationModule(node, layer, state!.BatchNormalization!, averages) { Device = device },
        BatchNormalizationLayer layer =>
            new GeneralBatchNormalizationModule(node, layer, state!.BatchNormalization!) { Device = device },
        ActivationLayer layer => FunctionModule.Of(node, layer, network.IgnoresNonFinite),
        Pool2DLayer layer => FunctionModule.Of(node, layer, device),
        DropoutLayer layer => new DropoutModule(node, layer, random, index, share),
        RandomHorizontalFlipLayer layer => new RandomImageModule(node, index, layer.DrawOf, share),
        RandomCropLayer layer => new RandomImageModule(node, index, layer.DrawOf, share),
        FlattenLayer => FunctionModule.Flatten(node),
        GlobalAveragePool2DLayer => FunctionModule.GlobalAverage(node),
        AddLayer => MergeModule.Add(node),
        ConcatLayer => MergeModule.Concat(node),
        MultiplyLayer => MergeModule.Multiply(node),
        TorchScriptLayer { Trainable: true } when share is not null => throw new NotSupportedException(
            $"Layer '{node.Path}' is a TorchScript module that learns. Batch normalizations in it would take the "
            + "statistics of each rank's own rows, so it cannot be trained on several ranks. Freeze it."),
        TorchScriptLayer layer => new TorchScriptModule(node, layer, state, device),
        _ => throw new NotSupportedException(
            $"Layer '{node.Path}' ({node.Layer.Kind}) cannot be run by {nameof(TorchEngine)}."),
    };

    static SynchronizedBatchNormalizationModule Synchronized(
        NetworkNode node, BatchNormalizationLayer layer, BatchNormalizationState state, BatchShare share,
        torch.Device device) => layer.Options.TrackMovingStatistics
        ? new(node, layer, state, share) { Device = device }
        : throw new NotSupportedException(
            $"Layer '{node.Path}': {nameof(TorchEngine)} has no {nameof(BatchNormalizationOptions.TrackMovingStatistics)} "
            + $"= false on several ranks. {nameof(CpuEngine)} does.");
}
