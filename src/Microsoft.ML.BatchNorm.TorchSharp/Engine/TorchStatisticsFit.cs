namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// Fits one layer. Each batch is copied to the device once. Its count, mean and sum of squared deviations are copied
/// back, and the same code updates the state as for <see cref="CpuEngine"/>.
/// </summary>
sealed class TorchStatisticsFit : IStatisticsFit
{
    readonly torch.Device device;
    readonly int threads;
    readonly BatchNormalizationOptions options;
    readonly bool isPopulation;
    readonly ICollective? ranks;
    readonly BatchStatistics population;
    BatchNormalizationState current;
    long batches;

    public TorchStatisticsFit(
        torch.Device device, int threads, BatchNormalizationOptions options, BatchNormalizationState state,
        ICollective? ranks)
    {
        (this.device, this.threads, this.options, this.ranks) = (device, threads, options, ranks);
        isPopulation =
            options.EffectiveMovingStatistics == MovingStatistics.Population && options.MovesStatistics(training: true);
        population = ranks is null ? StartOf(state) : new BatchStatistics(state.Channels);
        current = state;
    }

    public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
        AddBatch(layout, x, mask);

    public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
        AddBatch(layout, x, mask);

    public BatchNormalizationState Complete()
    {
        if (!isPopulation)
            return current;
        BatchStatistics all = population;
        long count = batches;
        if (ranks is not null)
        {
            all = StartOf(current);
            count = (long)all.MergeOfAll(ranks, population, batches).Sum();
        }
        return count > 0 ? current.WithPopulation(all, options.EffectiveVarianceConvention, count) : current;
    }

    static BatchStatistics StartOf(BatchNormalizationState state) =>
        state.GetPopulation() ?? new BatchStatistics(state.Channels);

    public void Dispose()
    {
    }

    void AddBatch<T>(ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask) where T : unmanaged
    {
        layout.CheckMade(nameof(layout));
        layout.CheckChannels(current.Channels, "state");
        layout.CheckLength(x.Length, nameof(x));
        layout.CheckMask(mask.Length, nameof(mask));
        if (!options.MovesStatistics(training: true))
            return;
        BatchStatistics[] groups = GroupStatistics(layout, x, mask);
        if (isPopulation)
            Array.ForEach(groups, population.Merge);
        else
            current = MovingUpdate.Next(options, current, groups);
        if (!Array.TrueForAll(groups, group => group.IsEmpty))
            batches++;
    }

    BatchStatistics[] GroupStatistics<T>(ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<bool> mask)
        where T : unmanaged
    {
        using var cpu = new CpuThreads(device, threads);
        using var scope = torch.NewDisposeScope();
        int groups = isPopulation ? 1 : RowGroups.OfSize(layout, options.VirtualBatchSize).Count;
        Tensor values = Tensors.Upload(x, device, layout.Outer, layout.Channels, layout.Inner);
        Tensor? kept = mask.IsEmpty
            ? null
            : Tensors.Upload(mask, device, layout.Outer, 1, layout.Inner).expand(values.shape);
        var statistics = new BatchStatistics[groups];
        for (int group = 0; group < groups; group++)
        {
            statistics[group] = DeviceStatistics.Of(
                values.TakeGroup(layout, group, groups), options.NonFinite == NonFinite.Ignore,
                kept is null ? null : kept.TakeGroup(layout, group, groups));
        }
        foreach (BatchStatistics group in statistics)
        {
            if (DeviceStatistics.AreFinite(group))
                continue;
            if (options.NonFinite == NonFinite.Throw)
                NonFiniteInput.ThrowIfAny(layout, x, mask, nameof(x));
            VarianceOverflow.ThrowIfAny(group);
        }
        return statistics;
    }
}
