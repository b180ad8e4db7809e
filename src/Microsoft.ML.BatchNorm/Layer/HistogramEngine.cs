using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Takes the place of an engine in the pass that counts: it adds the values to histograms, and moves no statistics. The
/// histograms of several ranks are added up, which is exact.
/// </summary>
/// <param name="collective">The processes whose rows are counted together, or null.</param>
/// <param name="columns">The histograms to go on from, in the order in which the columns are started.</param>
sealed class HistogramEngine(ICollective? collective, ChannelHistograms[] columns) : IStatisticsEngine
{
    int started;

    public ICollective? Collective => collective;

    public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state) =>
        new Fit(collective.IfSeveral(), columns[started++], state);

    sealed class Fit(ICollective? ranks, ChannelHistograms before, BatchNormalizationState state) : IStatisticsFit
    {
        readonly ChannelHistograms counted = before.NewEmpty();

        public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default) =>
            counted.Add(layout, x, mask);

        public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default) =>
            counted.Add(layout, x, mask);

        public BatchNormalizationState Complete()
        {
            if (ranks is not null)
                counted.SumOver(ranks);
            counted.Merge(before);
            try
            {
                return state.WithHistograms(counted);
            }
            catch (ArgumentException error)
            {
                throw new InvalidDataException(
                    $"The data had other rows when it was read again for the histograms. {Check.Text(error)}", error);
            }
        }

        public void Dispose()
        {
        }
    }
}
