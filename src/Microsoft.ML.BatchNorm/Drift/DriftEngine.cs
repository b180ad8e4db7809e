using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Sums what a comparison needs where an engine would fit: the same pass over the data, and no state moves.
/// </summary>
sealed class DriftEngine(int threads) : IStatisticsEngine
{
    readonly List<DriftStatistics> statistics = [];

    /// <summary>The new data's statistics, in the order in which the columns were started.</summary>
    public IReadOnlyList<DriftStatistics> Statistics => statistics;

    public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        var fresh = new DriftStatistics(state);
        statistics.Add(fresh);
        return new Fit(fresh, options.NonFinite, state, threads);
    }

    sealed class Fit(DriftStatistics statistics, NonFinite nonFinite, BatchNormalizationState state, int threads)
        : IStatisticsFit
    {
        public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
            statistics.Add(layout, x, mask, nonFinite, threads);

        public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
            statistics.Add(layout, x, mask, nonFinite, threads);

        public BatchNormalizationState Complete() => state;

        public void Dispose()
        {
        }
    }
}
