using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The moving statistics of a batch normalization while it trains, moved in place by <see cref="MovingUpdate"/>. Arrays
/// are padded to whole vectors.
/// </summary>
sealed unsafe class RunningStatistics
{
    readonly BatchNormalizationOptions options;
    readonly int channels, room;
    readonly AlignedMemory<double> memory, population;
    readonly double[] renormMoving = [], renormMean = [], renormDeviation = [];
    ChannelHistograms? histograms;
    bool hasPopulation;
    long batchesSeen;
    double initialWeight;

    public RunningStatistics(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        this.options = options;
        channels = state.Channels;
        room = Simd.RoundUp(channels);
        memory = new AlignedMemory<double>(2 * (long)room);
        state.MovingMean.CopyTo(Mean);
        state.MovingVariance.CopyTo(Variance);
        (batchesSeen, initialWeight) = (state.BatchesSeen, state.InitialWeight);
        population = new AlignedMemory<double>(Moments.Arrays * (long)room);
        histograms = state.Histograms;
        if (state.Population is { } moments)
        {
            hasPopulation = true;
            moments.Count.CopyTo(population.Span);
            state.MovingMean.CopyTo(population.Span[room..]);
            moments.M2.CopyTo(population.Span[(2 * room)..]);
            moments.MeanRest.CopyTo(population.Span[(3 * room)..]);
            moments.M2Rest.CopyTo(population.Span[(4 * room)..]);
        }
        if (state.Renorm is not { } renorm)
            return;
        renormMoving = renorm.MovingStandardDeviation.ToArray();
        renormMean = renorm.Mean.ToArray();
        renormDeviation = renorm.StandardDeviation.ToArray();
    }

    public Span<double> Mean => memory.Span[..room];

    public Span<double> Variance => memory.Span[room..];

    public Vector512<double> MeanAt(int channel) => Vector512.Load(memory.Start + channel);

    /// <summary>Renormalization's averages of the mean and of the deviation; empty where there are none.</summary>
    public ReadOnlySpan<double> RenormMean => renormMean;

    /// <inheritdoc cref="RenormMean"/>
    public ReadOnlySpan<double> RenormDeviation => renormDeviation;

    /// <summary>Takes a batch.</summary>
    /// <param name="moments">The moments of each group of rows that shares statistics, one after the other.</param>
    /// <param name="groups">The number of groups.</param>
    public void Move(double* moments, int groups)
    {
        if (AreEmpty(moments, groups))
            return;
        histograms = null;
        if (options.EffectiveMovingStatistics == MovingStatistics.Population)
        {
            if (!hasPopulation)
                population.Span.Clear();
            for (int group = 0; group < groups; group++)
            {
                Moments one = Moments.In(moments + (nint)group * Moments.Arrays * room, room);
                MomentsMerge.Into(Moments.In(population.Start, room), one, room);
            }
            TakePopulation(batchesSeen + 1);
            return;
        }
        double decay = MovingUpdate.Decay(options, batchesSeen);
        MovingUpdate.Average(options, moments, groups, room, decay, Mean, Variance);
        if (options.Renorm is not null)
        {
            Renormalization.Move(
                options, Moments.In(moments, room), renormMoving, renormMean, renormDeviation, Variance);
        }
        batchesSeen++;
        initialWeight *= decay;
        hasPopulation = false;
    }

    /// <summary>
    /// Replaces the statistics by those of a whole data set. Where no batch was seen, that counts as one, so that a
    /// plain average goes on from it.
    /// </summary>
    public void Replace(ReadOnlySpan<double> moments)
    {
        moments.CopyTo(population.Span);
        histograms = null;
        TakePopulation(Math.Max(batchesSeen, 1));
    }

    public BatchNormalizationState ToState(ReadOnlySpan<float> gamma, ReadOnlySpan<float> beta) => new(
        Mean[..channels].ToArray(), Variance[..channels].ToArray(), gamma.ToArray(), beta.ToArray(), batchesSeen,
        initialWeight,
        renormMean.Length == 0
            ? null
            : RenormStatistics.Of([.. renormMoving], [.. renormMean], [.. renormDeviation]),
        hasPopulation ? new PopulationMoments(Kept(0), Kept(2), Kept(3), Kept(4)) : null, histograms);

    bool AreEmpty(double* moments, int groups)
    {
        for (int group = 0; group < groups; group++)
        {
            var counts = new ReadOnlySpan<double>(moments + (nint)group * Moments.Arrays * room, channels);
            if (counts.ContainsAnyExcept(0))
                return false;
        }
        return true;
    }

    double[] Kept(int array) => population.Span.Slice(array * room, channels).ToArray();

    void TakePopulation(long batches)
    {
        MovingUpdate.TakeExact(
            Moments.In(population.Start, room), options.EffectiveVarianceConvention, Mean, Variance);
        (hasPopulation, batchesSeen, initialWeight) = (true, batches, 0);
    }
}
