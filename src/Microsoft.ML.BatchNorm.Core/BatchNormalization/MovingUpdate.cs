namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How a batch moves the moving statistics. The formulas work in place, on one number per channel: the functions of
/// <see cref="BatchNormalization"/> move copies, and a training session moves its <see cref="RunningStatistics"/>.
/// </summary>
static unsafe class MovingUpdate
{
    /// <summary>The state after a batch in training mode.</summary>
    /// <param name="options">The layer's options.</param>
    /// <param name="state">The state before.</param>
    /// <param name="groups">The batch's statistics, one for each group of rows that shares them.</param>
    public static BatchNormalizationState Next(
        BatchNormalizationOptions options, BatchNormalizationState state, ReadOnlySpan<BatchStatistics> groups)
    {
        if (AreEmpty(groups))
            return state;
        if (options.EffectiveMovingStatistics == MovingStatistics.Population)
        {
            BatchStatistics population = state.GetPopulation() ?? new BatchStatistics(state.Channels);
            foreach (BatchStatistics group in groups)
                population.Merge(group);
            return state.WithPopulation(population, options.EffectiveVarianceConvention);
        }

        double decay = Decay(options, state.BatchesSeen);
        double[] mean = state.MovingMean.ToArray(), variance = state.MovingVariance.ToArray();
        RenormStatistics? renorm = state.Renorm;
        fixed (double* moments = Packed(groups))
        {
            if (!Average(options, moments, groups.Length, state.Channels, decay, mean, variance))
                CheckVariances(groups, options.EffectiveVarianceConvention);
            if (options.Renorm is not null)
                renorm = Renormalization.Next(options, renorm!, Moments.In(moments, state.Channels), variance);
        }
        return new BatchNormalizationState(
            mean, variance, state.OwnGamma, state.OwnBeta, state.BatchesSeen + 1, state.InitialWeight * decay,
            renorm, population: null);
    }

    /// <summary>The share of the old averages that stays at the next batch.</summary>
    public static double Decay(BatchNormalizationOptions options, long batchesSeen) =>
        options.EffectiveMovingStatistics == MovingStatistics.Cumulative
            ? 1 - 1.0 / (batchesSeen + 1)
            : options.EffectiveMomentum;

    /// <summary>
    /// Moves averages towards those of a batch, or towards the average over its groups of rows; those of a channel
    /// without a value stay. False where a variance is not finite, which is then for the caller to explain.
    /// </summary>
    /// <param name="options">The layer's options.</param>
    /// <param name="moments">The moments of each group, one group after the other.</param>
    /// <param name="groups">The number of groups.</param>
    /// <param name="room">The number of values in each array of the moments.</param>
    /// <param name="decay">The share of the old averages that stays.</param>
    /// <param name="mean">The moving mean, at most <paramref name="room"/> values.</param>
    /// <param name="variance">The moving variance, as many.</param>
    public static bool Average(
        BatchNormalizationOptions options, double* moments, int groups, int room, double decay, Span<double> mean,
        Span<double> variance)
    {
        int less = LessCount(options.EffectiveVarianceConvention);
        if (groups == 1)
            return ChannelMath.Move(Moments.In(moments, room), less, decay, mean, variance);
        bool finite = true;
        for (int c = 0; c < mean.Length; c++)
        {
            int used = 0;
            for (int group = 0; group < groups; group++)
                used += *GroupAt(group, c).Count == 0 ? 0 : 1;
            if (used == 0)
                continue;
            double groupMean = 0, groupVariance = 0;
            for (int group = 0; group < groups; group++)
            {
                Moments one = GroupAt(group, c);
                if (*one.Count == 0)
                    continue;
                // Divided before they are added, since the sum may overflow.
                groupMean += *one.Mean / used;
                groupVariance += *one.M2 / (*one.Count - less) / used;
            }
            finite &= double.IsFinite(groupVariance);
            mean[c] = Exponential(mean[c], groupMean, decay);
            variance[c] = Exponential(variance[c], groupVariance, decay);
        }
        return finite;

        Moments GroupAt(int group, int channel) =>
            Moments.In(moments + (nint)group * Moments.Arrays * room, room).At(channel);
    }

    /// <summary>Replaces the moving statistics of channels that have values by exact ones.</summary>
    public static void TakeExact(Moments exact, VarianceConvention convention, Span<double> mean, Span<double> variance)
    {
        for (int c = 0; c < mean.Length; c++)
        {
            if (exact.Count[c] == 0)
                continue;
            mean[c] = exact.Mean[c];
            variance[c] = exact.M2[c] / (exact.Count[c] - LessCount(convention));
        }
    }

    /// <summary>The average after a value, of which the share <paramref name="decay"/> was there before.</summary>
    public static double Exponential(double average, double value, double decay) =>
        decay * average + (1 - decay) * value;

    /// <summary>What a variance's divisor has less than n: 1 for the sample variance (Bessel's correction).</summary>
    public static int LessCount(VarianceConvention convention) => convention == VarianceConvention.Sample ? 1 : 0;

    /// <summary>Throws where the variance of a channel that has values is not finite.</summary>
    public static void CheckVariances(ReadOnlySpan<BatchStatistics> groups, VarianceConvention convention)
    {
        for (int c = 0; c < groups[0].Channels; c++)
        {
            foreach (BatchStatistics group in groups)
            {
                if (group.Count[c] > 0)
                    group.Variance(c, convention);
            }
        }
    }

    static bool AreEmpty(ReadOnlySpan<BatchStatistics> groups)
    {
        foreach (BatchStatistics group in groups)
        {
            if (!group.IsEmpty)
                return false;
        }
        return true;
    }

    static ReadOnlySpan<double> Packed(ReadOnlySpan<BatchStatistics> groups)
    {
        if (groups.Length == 1)
            return groups[0].Packed;
        int length = groups[0].Packed.Length;
        double[] all = new double[groups.Length * length];
        for (int group = 0; group < groups.Length; group++)
            groups[group].Packed.CopyTo(all.AsSpan(group * length));
        return all;
    }
}
