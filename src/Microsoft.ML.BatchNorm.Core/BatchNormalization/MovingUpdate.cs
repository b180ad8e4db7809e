using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>The state after a batch in training mode.</summary>
static class MovingUpdate
{
    /// <param name="options">The layer's options.</param>
    /// <param name="state">The state before.</param>
    /// <param name="groups">The batch's statistics, one for each group of rows that shares them.</param>
    public static BatchNormalizationState Next(
        BatchNormalizationOptions options, BatchNormalizationState state, ReadOnlySpan<BatchStatistics> groups)
    {
        if (options.EffectiveMovingStatistics == MovingStatistics.Population)
            return Population(options, state, groups);

        bool empty = true;
        foreach (BatchStatistics group in groups)
            empty &= group.IsEmpty;
        if (empty)
            return state;

        double decay = options.EffectiveMovingStatistics == MovingStatistics.Cumulative
            ? 1 - 1.0 / (state.BatchesSeen + 1)
            : options.EffectiveMomentum;
        double[] mean = new double[state.Channels], variance = new double[state.Channels];
        int less = options.EffectiveVarianceConvention == VarianceConvention.Sample ? 1 : 0;
        if (groups.Length > 1)
            MoveTowardsAverage(options, state, groups, decay, mean, variance);
        else if (!ChannelMath.Move(groups[0], less, decay, state.MovingMean, state.MovingVariance, mean, variance))
            groups[0].CheckVariances(options.EffectiveVarianceConvention);
        RenormStatistics? renorm = options.Renorm is null
            ? state.Renorm
            : Renormalization.Next(options, state.Renorm!, groups[0], variance);
        return new BatchNormalizationState(
            mean, variance, state.GammaArray, state.BetaArray, state.BatchesSeen + 1, state.InitialWeight * decay,
            renorm, population: null);
    }

    static void MoveTowardsAverage(
        BatchNormalizationOptions options, BatchNormalizationState state, ReadOnlySpan<BatchStatistics> groups,
        double decay,
        double[] mean, double[] variance)
    {
        state.MovingMean.CopyTo(mean);
        state.MovingVariance.CopyTo(variance);
        for (int c = 0; c < mean.Length; c++)
        {
            int used = 0;
            foreach (BatchStatistics group in groups)
                used += group.Count[c] == 0 ? 0 : 1;
            if (used == 0)
                continue;
            double groupMean = 0, groupVariance = 0;
            foreach (BatchStatistics group in groups)
            {
                if (group.Count[c] == 0)
                    continue;
                // Divided before they are added, since the sum may overflow.
                groupMean += group.Mean[c] / used;
                groupVariance += group.Variance(c, options.EffectiveVarianceConvention) / used;
            }
            mean[c] = Average.Exponential(mean[c], groupMean, decay);
            variance[c] = Average.Exponential(variance[c], groupVariance, decay);
        }
    }

    static BatchNormalizationState Population(
        BatchNormalizationOptions options, BatchNormalizationState state, ReadOnlySpan<BatchStatistics> groups)
    {
        BatchStatistics statistics = state.GetPopulation() ?? new BatchStatistics(state.Channels);
        bool empty = true;
        foreach (BatchStatistics group in groups)
        {
            empty &= group.IsEmpty;
            statistics.Merge(group);
        }
        return empty ? state : state.WithPopulation(statistics, options.EffectiveVarianceConvention);
    }
}
