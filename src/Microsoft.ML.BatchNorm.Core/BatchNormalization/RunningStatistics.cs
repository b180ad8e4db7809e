using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The moving statistics of a batch normalization while it trains, moved in place batch by batch as
/// <see cref="MovingUpdate"/> makes one state of another. Channels are filled up to whole vectors.
/// </summary>
sealed unsafe class RunningStatistics
{
    readonly BatchNormalizationOptions options;
    readonly int channels, room;
    readonly AlignedMemory<double> memory, population;
    readonly double[] renormMoving = [], renormMean = [], renormDeviation = [];
    long batchesSeen;
    double initialWeight;

    public RunningStatistics(BatchNormalizationOptions options, BatchNormalizationState state)
    {
        this.options = options;
        channels = state.Channels;
        room = Vectors.RoundUp(channels);
        memory = new AlignedMemory<double>(2 * (long)room);
        state.MovingMean.CopyTo(Mean);
        state.MovingVariance.CopyTo(Variance);
        (batchesSeen, initialWeight) = (state.BatchesSeen, state.InitialWeight);
        population = new AlignedMemory<double>(Moments.Arrays * (long)room);
        if (state.Population is { } moments)
        {
            HasPopulation = true;
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

    /// <summary>The exact statistics behind the moving ones; meaningful where <see cref="HasPopulation"/>.</summary>
    Moments Population => Moments.In(population.Start, room);

    bool HasPopulation { get; set; }

    /// <summary>Renormalization's r and d for a batch.</summary>
    public (double Factor, double Offset) Correction(int channel, double mean, double variance) =>
        Renormalization.Correction(options, renormMean[channel], renormDeviation[channel], mean, variance);

    /// <summary>Takes a batch.</summary>
    /// <param name="groups">The moments of each group of rows that shares statistics.</param>
    public void Move(ReadOnlySpan<AlignedMemory<double>> groups)
    {
        if (options.EffectiveMovingStatistics == MovingStatistics.Population)
        {
            if (!HasPopulation)
                population.Span.Clear();
            HasPopulation = true;
            foreach (AlignedMemory<double> group in groups)
                MomentsMerge.Into(Population, Moments.In(group.Start, room), room);
            TakePopulation();
            (batchesSeen, initialWeight) = (batchesSeen + 1, 0);
            return;
        }
        double decay = options.EffectiveMovingStatistics == MovingStatistics.Cumulative
            ? 1 - 1.0 / (batchesSeen + 1)
            : options.EffectiveMomentum;
        if (groups.Length == 1)
            MoveTo(Moments.In(groups[0].Start, room), decay);
        else
            MoveToAverage(groups, decay);
        if (options.Renorm is { } renorm)
            MoveRenorm(Moments.In(groups[0].Start, room), renorm.Momentum);
        batchesSeen++;
        initialWeight *= decay;
        HasPopulation = false;
    }

    /// <summary>
    /// Replaces the statistics by those of a whole data set, which is one batch where none was seen: a plain average
    /// goes on from it.
    /// </summary>
    public void Replace(AlignedMemory<double> moments)
    {
        moments.Span.CopyTo(population.Span);
        HasPopulation = true;
        TakePopulation();
        initialWeight = 0;
        batchesSeen = Math.Max(batchesSeen, 1);
    }

    public BatchNormalizationState ToState(ReadOnlySpan<float> gamma, ReadOnlySpan<float> beta) => new(
        Mean[..channels].ToArray(), Variance[..channels].ToArray(), gamma.ToArray(), beta.ToArray(), batchesSeen,
        initialWeight,
        renormMean.Length == 0
            ? null
            : RenormStatistics.Of([.. renormMoving], [.. renormMean], [.. renormDeviation]),
        HasPopulation ? new PopulationMoments(Kept(0), Kept(2), Kept(3), Kept(4)) : null);

    double[] Kept(int array) => population.Span.Slice(array * room, channels).ToArray();

    int LessCount => options.EffectiveVarianceConvention == VarianceConvention.Sample ? 1 : 0;

    void TakePopulation()
    {
        Moments moments = Population;
        for (int c = 0; c < channels; c++)
        {
            if (moments.Count[c] == 0)
                continue;
            Mean[c] = moments.Mean[c];
            Variance[c] = moments.M2[c] / (moments.Count[c] - LessCount);
        }
    }

    void MoveTo(Moments batch, double decay)
    {
        Vector512<double> stays = Vector512.Create(decay), comes = Vector512.Create(1 - decay);
        Vector512<double> less = Vector512.Create((double)LessCount);
        double* means = memory.Start, variances = means + room;
        for (int c = 0; c < room; c += 8)
        {
            Vector512<double> count = Vector512.Load(batch.Count + c);
            Vector512<double> mean = Vector512.Load(means + c), variance = Vector512.Load(variances + c);
            Vector512<double> none = Vector512.Equals(count, Vector512<double>.Zero);
            Vector512<double> moved = stays * mean + comes * Vector512.Load(batch.Mean + c);
            Vector512<double> spread = stays * variance + comes * (Vector512.Load(batch.M2 + c) / (count - less));
            Vector512.ConditionalSelect(none, mean, moved).Store(means + c);
            Vector512.ConditionalSelect(none, variance, spread).Store(variances + c);
        }
    }

    void MoveToAverage(ReadOnlySpan<AlignedMemory<double>> groups, double decay)
    {
        for (int c = 0; c < channels; c++)
        {
            double mean = 0, variance = 0;
            int used = 0;
            foreach (AlignedMemory<double> memory in groups)
            {
                Moments group = Moments.In(memory.Start, room);
                if (group.Count[c] == 0)
                    continue;
                used++;
                mean += group.Mean[c];
                variance += group.M2[c] / (group.Count[c] - LessCount);
            }
            if (used == 0)
                continue;
            Mean[c] = Average.Exponential(Mean[c], mean / used, decay);
            Variance[c] = Average.Exponential(Variance[c], variance / used, decay);
        }
    }

    void MoveRenorm(Moments batch, double momentum)
    {
        for (int c = 0; c < channels; c++)
        {
            if (batch.Count[c] == 0)
                continue;
            double deviation = Math.Sqrt(batch.M2[c] / (batch.Count[c] - LessCount) + options.EffectiveEpsilon);
            renormMean[c] = Average.Exponential(renormMean[c], batch.Mean[c], momentum);
            renormDeviation[c] = Average.Exponential(renormDeviation[c], deviation, momentum);
            renormMoving[c] = Average.Exponential(renormMoving[c], deviation, options.EffectiveMomentum);
            Variance[c] = Math.Max(renormMoving[c] * renormMoving[c] - options.EffectiveEpsilon, 0);
        }
    }
}
