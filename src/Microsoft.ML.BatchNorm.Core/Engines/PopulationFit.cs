namespace Microsoft.ML.BatchNorm;

/// <summary>Merges all batches, and makes a state of them once.</summary>
sealed class PopulationFit(BatchNormalizationOptions options, BatchNormalizationState state, int threads)
    : IStatisticsFit
{
    readonly BatchStatistics statistics = state.GetPopulation() ?? new BatchStatistics(state.Channels);
    long batches;

    /// <summary>Whether rows may be summed apart from each other, and their shards added as batches.</summary>
    public bool TakesShards => options.NonFinite == NonFinite.Throw;

    public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
        Add(BatchStatistics.Of(layout, x, mask, options.NonFinite, threads));

    public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
        Add(BatchStatistics.Of(layout, x, mask, options.NonFinite, threads));

    /// <summary>Takes the rows of a shard as the next batch, and begins another shard.</summary>
    /// <exception cref="InvalidDataException">A value is not finite, or a sum overflowed.</exception>
    public void Add(RowShard shard)
    {
        shard.MoveTo(statistics);
        batches++;
    }

    public BatchNormalizationState Complete() =>
        batches == 0 ? state : state.WithPopulation(statistics, options.EffectiveVarianceConvention, batches);

    public void Dispose()
    {
    }

    void Add(BatchStatistics batch)
    {
        statistics.Merge(batch);
        if (!batch.IsEmpty)
            batches++;
    }
}
