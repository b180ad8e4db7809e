namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Fits statistics and trains networks on this process's threads, with the same bits for any number of them; alone, or
/// together with other processes.
/// </summary>
/// <remarks>
/// <para>
/// A session keeps its threads and all its memory until it is disposed of; a step allocates nothing. Idle threads wait
/// for the next step for a fraction of a millisecond before they sleep. Penalties of γ and β count only while these are
/// trained, as in Keras.
/// </para>
/// <para>
/// With a collective, each rank has its own share of the rows. A fit gives exact statistics of all rows, with the same
/// bits on every rank; averages over batches cannot be fitted. In training, <see cref="TrainingOptions.BatchSize"/>
/// counts the rows of a step on all ranks, batch normalizations take the statistics of all of them, and every rank
/// ends with the same bits. The rows that a session is asked for have numbers over all ranks: the first row of each
/// rank comes first, then the second of each, and so on. Shares of <see cref="TrainingData.Share"/> thereby have the
/// numbers of the whole, and training on them follows that on one process to rounding.
/// </para>
/// </remarks>
public sealed class CpuEngine : IStatisticsEngine, ITrainingEngine
{
    /// <summary>Makes an engine with the given number of threads.</summary>
    /// <param name="threads">
    /// How many threads work in a session or a fit. If it is null, the engine decides. Training then takes one thread
    /// for each 10 million multiply-adds of a step of <see cref="TrainingOptions.BatchSize"/> rows, at least one and at
    /// most one per processor, since a small network trains faster on one thread than on two. A fit of statistics takes
    /// one. Default: null.
    /// </param>
    /// <param name="collective">The processes that work together; null for this one alone. Default: null.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is not positive.</exception>
    public CpuEngine(int? threads = null, ICollective? collective = null)
    {
        Threads = threads is { } count ? Check.Positive(count, nameof(threads)) : null;
        Collective = collective;
    }

    /// <summary>The number of threads that was asked for; null if the engine decides.</summary>
    public int? Threads { get; }

    /// <summary>The processes that work together; null for this one alone.</summary>
    public ICollective? Collective { get; }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">
    /// Several processes work together, and the options ask for averages over batches.
    /// </exception>
    public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        BatchNormalization.CheckState(options, state);
        ICollective? ranks = Collective.IfSeveral();
        if (ranks is not null)
            CheckFitOfRanks(options);
        return options.EffectiveMovingStatistics == MovingStatistics.Population
            && options.MovesStatistics(training: true)
            ? new PopulationFit(options, state, Threads ?? 1, ranks)
            : new MovingFit(options, state, Threads ?? 1);
    }

    /// <inheritdoc/>
    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(data);
        ICollective? ranks = Collective.IfSeveral();
        int rows = Math.Min(options.BatchSize / (ranks?.Size ?? 1), data.Rows);
        int threads = Threads ?? StepWork.Threads(network, rows);
        if (ranks is null)
            return new TrainingSession(network, state, options, data, threads);
        var shares = new RowShares(ranks.Rank, ranks.Gather(data.Rows));
        return ranks.Do(() => new TrainingSession(
            network, state, options, data, threads, new BatchShare(ranks, shares, VirtualBatchSize(network))));
    }

    /// <exception cref="NotSupportedException">The options ask for averages over batches.</exception>
    internal static void CheckFitOfRanks(BatchNormalizationOptions options)
    {
        if (options.EffectiveMovingStatistics != MovingStatistics.Population)
            throw new NotSupportedException(
                "An average over batches depends on their order, and the batches of several processes have none. "
                + "Set MovingStatistics.Population.");
    }

    /// <summary>The virtual batch size of all batch normalizations that have one and train; or null.</summary>
    internal static int? VirtualBatchSize(Network network)
    {
        int[] sizes =
        [
            .. network.Nodes.Select(node => node.Layer).OfType<BatchNormalizationLayer>()
                .Where(layer => layer.Options.UsesBatchStatistics(training: true))
                .Select(layer => layer.Options.VirtualBatchSize).OfType<int>().Distinct(),
        ];
        return sizes.Length < 2
            ? sizes.Length == 0 ? null : sizes[0]
            : throw new NotSupportedException(
                $"Several processes need one VirtualBatchSize in all layers; there are {string.Join(" and ", sizes)}.");
    }

    /// <summary>
    /// Merges the exact statistics of all batches, and makes a state from them at the end. With several ranks, each
    /// merges its own, and at the end those of all ranks, in their order, into the statistics of the state.
    /// </summary>
    sealed class PopulationFit(
        BatchNormalizationOptions options, BatchNormalizationState state, int threads, ICollective? ranks)
        : IStatisticsFit
    {
        readonly BatchStatistics statistics =
            ranks is null ? StartOf(state) : new BatchStatistics(state.Channels);
        long batches;

        public bool TakesStatistics => true;

        public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
            Add(BatchStatistics.Of(layout, x, mask, options.NonFinite, threads));

        public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
            Add(BatchStatistics.Of(layout, x, mask, options.NonFinite, threads));

        public void Add(BatchStatistics batch)
        {
            statistics.Merge(batch);
            if (!batch.IsEmpty)
                batches++;
        }

        public BatchNormalizationState Complete() =>
            ranks is null ? StateOf(statistics, batches) : StateOfAll(ranks);

        static BatchStatistics StartOf(BatchNormalizationState state) =>
            state.GetPopulation() ?? new BatchStatistics(state.Channels);

        BatchNormalizationState StateOfAll(ICollective ranks)
        {
            BatchStatistics merged = StartOf(state);
            double count = merged.MergeOfAll(ranks, statistics, batches).Sum();
            return StateOf(merged, (long)count);
        }

        BatchNormalizationState StateOf(BatchStatistics merged, long count) =>
            count == 0 ? state : state.WithPopulation(merged, options.EffectiveVarianceConvention, count);

        public void Dispose()
        {
        }
    }

    /// <summary>Moves the moving statistics with each batch.</summary>
    sealed class MovingFit(BatchNormalizationOptions options, BatchNormalizationState state, int threads)
        : IStatisticsFit
    {
        BatchNormalizationState current = state;

        public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
            current = BatchNormalization.UpdateMovingStatistics(options, current, layout, x, mask, threads);

        public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
            current = BatchNormalization.UpdateMovingStatistics(options, current, layout, x, mask, threads);

        public BatchNormalizationState Complete() => current;

        public void Dispose()
        {
        }
    }
}

/// <summary>Estimates the work of a training step, and how many threads it is worth.</summary>
static class StepWork
{
    /// <summary>
    /// The multiply-adds of a step that are worth waking a thread and waiting for it: about 0.2 ms of work. The
    /// benchmark <c>threads</c> measures steps around this size. With less work, two threads gain little if each has a
    /// processor of its own, and take up to several times as long as one thread if another process needs one of the
    /// processors.
    /// </summary>
    const long PerThread = 10_000_000;

    /// <summary>The number of threads for steps of that many rows, at most one per processor.</summary>
    public static int Threads(Network network, int rows) =>
        (int)Math.Clamp(MultiplyAdds(network) * (double)rows / PerThread, 1, Environment.ProcessorCount);

    /// <summary>
    /// The multiply-adds per row in the layers that have a kernel: for the output, for the kernel's gradient if the
    /// kernel learns, and for the input's gradient if a layer before it learns.
    /// </summary>
    public static long MultiplyAdds(Network network)
    {
        long sum = 0;
        bool[] learns = network.Values.FollowingFrom(i => network.Nodes[i].TrainableCount > 0);
        foreach (NetworkNode node in network.Nodes)
        {
            long places = node.Output.Size / node.Output[0];
            long once = node.Tensors.Where(tensor => tensor.Role == TensorRole.Kernel)
                .Sum(tensor => places * tensor.Shape!.Size);
            sum += once * (1 + (node.TrainableCount > 0 ? 1 : 0)
                + (node.Inputs.Any(value => value >= 0 && learns[value]) ? 1 : 0));
        }
        return sum;
    }
}
