namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Fits statistics and trains networks on this process's threads, with the same bits for any number of them.
/// </summary>
/// <remarks>
/// A session keeps its threads and all its memory until it is disposed of; a step allocates nothing. Idle threads wait
/// for the next step for a fraction of a millisecond before they sleep. Penalties of γ and β count only while these are
/// trained, as in Keras.
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
    /// <exception cref="ArgumentOutOfRangeException">The number is not positive.</exception>
    public CpuEngine(int? threads = null) =>
        Threads = threads is { } count ? Check.Positive(count, nameof(threads)) : null;

    /// <summary>The number of threads that was asked for; null if the engine decides.</summary>
    public int? Threads { get; }

    /// <inheritdoc/>
    public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        BatchNormalization.CheckState(options, state);
        return options.EffectiveMovingStatistics == MovingStatistics.Population
            && options.MovesStatistics(training: true)
            ? new PopulationFit(options, state, Threads ?? 1)
            : new MovingFit(options, state, Threads ?? 1);
    }

    /// <inheritdoc/>
    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(data);
        int rows = Math.Min(options.BatchSize, data.Rows);
        return new TrainingSession(network, state, options, data, Threads ?? StepWork.Threads(network, rows));
    }

    /// <summary>Merges the exact statistics of all batches, and makes a state from them at the end.</summary>
    sealed class PopulationFit(BatchNormalizationOptions options, BatchNormalizationState state, int threads)
        : IStatisticsFit
    {
        readonly BatchStatistics statistics = state.GetPopulation() ?? new BatchStatistics(state.Channels);
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
            batches == 0 ? state : state.WithPopulation(statistics, options.EffectiveVarianceConvention, batches);

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
