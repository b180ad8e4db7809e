namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Replaces the moving statistics of the batch normalizations in any TorchSharp module by those of a data set.
/// </summary>
/// <remarks>
/// If a layer is run by <c>call()</c>, a hook sees its input, so that its statistics are exact. TorchSharp runs no
/// hooks in <c>forward()</c>. A layer that is run by it can only average the statistics of the batches, as it does in
/// training mode without a momentum.
/// </remarks>
sealed class ModuleStatisticsRecomputation : IDisposable
{
    readonly (torch.nn.Module Module, bool Training)[] modes;
    readonly HookedLayer[] layers;
    readonly Func<long> pass;
    bool isDone;

    /// <param name="module">The module.</param>
    /// <param name="norms">The batch normalizations in it that get new statistics.</param>
    /// <param name="pass">Runs the module on all batches, and returns how many there are.</param>
    public ModuleStatisticsRecomputation(
        torch.nn.Module module, IEnumerable<(string Name, BatchNormModule Module)> norms, Func<long> pass)
    {
        modes = [.. module.named_modules().Select(entry => entry.module).Prepend(module)
            .Select(each => (each, each.training))];
        layers = [.. norms.Select(norm => new HookedLayer(norm.Name, norm.Module))];
        this.pass = pass;
        module.eval();
    }

    /// <summary>
    /// Gives each layer the statistics of its input in inference mode, in one pass per layer. In each pass, the first
    /// layer to run that has no new statistics yet gets them. All layers that run before it already have theirs.
    /// </summary>
    public void RunLayerByLayer()
    {
        var left = new HashSet<HookedLayer>(layers);
        long batches = 0;
        while (left.Count > 0)
        {
            HookedLayer? first = null;
            foreach (HookedLayer layer in layers)
                layer.Begin(() => left.Contains(layer) && (first ??= layer) == layer);
            batches = pass();
            CheckReached(
                left, layer => layer.Calls,
                " by call(). TorchSharp runs no hooks in forward(): run layers by call(), or set onePass to average "
                + "the statistics of the batches");
            first!.SetInputStatistics();
            left.Remove(first);
        }
        Complete(batches);
    }

    /// <summary>
    /// Gives all layers the statistics of their inputs in training mode, in one pass. They are exact if the hook saw
    /// every run of the layer, and otherwise the average over the batches.
    /// </summary>
    public void RunOnce()
    {
        foreach (HookedLayer layer in layers)
        {
            layer.Begin(() => true);
            layer.BeginAverage();
        }
        long batches = pass();
        CheckReached(layers, layer => layer.Runs, "");
        foreach (HookedLayer layer in layers)
        {
            if (layer.Calls == layer.Runs)
                layer.SetInputStatistics();
            else
                layer.CheckAverage();
        }
        Complete(batches);
    }

    public void Dispose()
    {
        Array.ForEach(layers, layer => layer.End(keepStatistics: isDone));
        foreach ((torch.nn.Module module, bool training) in modes)
            module.train(training);
    }

    void Complete(long batches)
    {
        Array.ForEach(layers, layer => layer.SetBatches(batches));
        isDone = true;
    }

    static void CheckReached(IEnumerable<HookedLayer> layers, Func<HookedLayer, long> runs, string how)
    {
        string[] missing = [.. layers.Where(layer => runs(layer) == 0).Select(layer => $"'{layer.Name}'")];
        if (missing.Length > 0)
            throw new InvalidOperationException($"No batch reached {string.Join(", ", missing)}{how}.");
    }

    /// <summary>A batch normalization, with a hook that sees its input when it is run by <c>call()</c>.</summary>
    sealed class HookedLayer
    {
        readonly BatchNormModule module;
        readonly double? momentum;
        readonly (Tensor Now, Tensor Before)[] statistics;
        readonly Action removeHook;
        Func<bool> isWanted = () => false;
        BatchStatistics? input;

        public HookedLayer(string name, BatchNormModule module)
        {
            Name = name;
            this.module = module;
            momentum = module.momentum;
            statistics = [.. new[] { module.running_mean!, module.running_var!, module.num_batches_tracked! }
                .Select(tensor => (tensor, Tensors.Keep(tensor.clone())))];
            removeHook = module.register_forward_pre_hook((_, x) =>
            {
                Calls++;
                if (isWanted())
                    Add(x);
                return x;
            }).remove;
        }

        public string Name { get; }

        /// <summary>How often the layer has been run by <c>call()</c> since <see cref="Begin"/>.</summary>
        public long Calls { get; private set; }

        /// <summary>
        /// How often the layer has been run, by <c>call()</c> or <c>forward()</c>, since <see cref="BeginAverage"/>.
        /// </summary>
        public long Runs => Tensors.Download<long>(module.num_batches_tracked!)[0];

        /// <summary>Begins a pass.</summary>
        /// <param name="isWanted">Whether the statistics of the layer's input are needed; asked at each call.</param>
        public void Begin(Func<bool> isWanted)
        {
            this.isWanted = isWanted;
            input = null;
            Calls = 0;
        }

        /// <summary>Makes the layer average the statistics of the batches that follow.</summary>
        public void BeginAverage()
        {
            using var scope = torch.NewDisposeScope();
            foreach ((Tensor now, _) in statistics)
                now.zero_();
            module.momentum = null;
            module.train(true);
        }

        /// <exception cref="InvalidDataException">A batch has no finite mean and sample variance.</exception>
        public void CheckAverage()
        {
            if (!Tensors.Download<double>(module.running_var!).All(double.IsFinite))
                throw new InvalidDataException(
                    $"The input of '{Name}' is not finite, or has a single value per channel in a batch.");
        }

        /// <summary>Replaces the moving statistics by those of the input, which the hook has seen.</summary>
        public void SetInputStatistics()
        {
            double[] variance = new double[input!.Channels];
            for (int c = 0; c < variance.Length; c++)
                variance[c] = input.Variance(c, VarianceConvention.Sample);
            using var scope = torch.NewDisposeScope();
            module.running_mean!.copy_(Tensors.Upload(input.Mean, torch.CPU, input.Channels));
            module.running_var!.copy_(Tensors.Upload<double>(variance, torch.CPU, variance.Length));
        }

        public void SetBatches(long batches)
        {
            using var scope = torch.NewDisposeScope();
            module.num_batches_tracked!.fill_(Scalars.Of(batches));
        }

        public void End(bool keepStatistics)
        {
            removeHook();
            module.momentum = momentum;
            using var scope = torch.NewDisposeScope();
            foreach ((Tensor now, Tensor before) in statistics)
            {
                if (!keepStatistics)
                    now.copy_(before);
                before.Dispose();
            }
        }

        void Add(Tensor x)
        {
            using var scope = torch.NewDisposeScope();
            BatchStatistics batch = DeviceStatistics.Of(x.reshape(x.shape[0], x.shape[1], -1));
            if (!DeviceStatistics.AreFinite(batch))
                throw new InvalidDataException($"The input of '{Name}' is not finite.");
            if (module.training && batch.Count.Contains(1))
                throw SingleValue.Error($"In a batch, a channel of '{Name}'", moves: true);
            if (input is null)
                input = batch;
            else
                input.Merge(batch);
        }
    }
}
