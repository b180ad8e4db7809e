namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Fits statistics and trains networks on this process's threads, with the same bits for any number of them.
/// </summary>
/// <remarks>
/// A session keeps its threads, which wait for the next step for a fraction of a millisecond before they sleep, and all
/// its memory until it is disposed of; a step allocates nothing. Penalties of γ and β count while these are trained, as
/// in Keras.
/// </remarks>
public sealed class CpuEngine : IStatisticsEngine, ITrainingEngine
{
    /// <summary>An engine of the given number of threads.</summary>
    /// <param name="threads">
    /// How many threads work in a session or a fit. Null for what the work is worth: a training takes a thread for each
    /// 10 million multiply-adds of a step of <see cref="TrainingOptions.BatchSize"/> rows, at least one and at most one
    /// for each processor, since a small network trains faster on one thread than on two; a fit of statistics takes
    /// one. Default: null.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The number is not positive.</exception>
    public CpuEngine(int? threads = null) =>
        Threads = threads is { } count ? Check.Positive(count, nameof(threads)) : null;

    /// <summary>The number of threads that was asked for; null for what the work is worth.</summary>
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

    /// <summary>Merges the exact statistics of all batches, and makes a state of them once.</summary>
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

    /// <summary>Moves the state batch by batch.</summary>
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

/// <summary>How much a step of training has to do, and how many threads that is worth.</summary>
static class StepWork
{
    /// <summary>
    /// The multiply-adds of a step that make a thread worth waking and waiting for, some 0.2 ms of work. The benchmark
    /// <c>threads</c> measures around it: with less, two threads gain little where both have a processor, and take up
    /// to several times as long as one where another process wants one of these.
    /// </summary>
    const long PerThread = 10_000_000;

    /// <summary>The threads for steps of so many rows, at most one for each processor.</summary>
    public static int Threads(Network network, int rows) =>
        (int)Math.Clamp(MultiplyAdds(network) * (double)rows / PerThread, 1, Environment.ProcessorCount);

    /// <summary>
    /// The multiply-adds of a row in the layers that have a kernel: forward, and backward for the gradient of the
    /// kernel where it learns, and for that of the input where something before it learns.
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
