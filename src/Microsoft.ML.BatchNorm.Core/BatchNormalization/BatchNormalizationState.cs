using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a batch normalization layer has learned and seen: γ, β, moving mean and variance, and what it needs to
/// continue. An immutable value; two are equal if every bit is.
/// </summary>
/// <remarks>
/// Statistics are kept in double, γ and β in float. <see cref="BatchNormalization.Initialize"/> makes a fresh one,
/// the constructor one from another framework's numbers, <see cref="Load"/> and <see cref="LoadSafetensors"/> one
/// from a stream. The values are there twice, without a copy: as a span, and as an array, which LINQ,
/// <see cref="string.Join{T}(string, IEnumerable{T})"/>, lambdas and asynchronous methods take.
/// </remarks>
/// <example>
/// <code>
/// var state = new BatchNormalizationState(movingMean: [0.5, 20, 3], movingVariance: [1, 100, 4]);
/// Console.WriteLine(string.Join(" ", state.MovingVarianceArray.Select(Math.Sqrt)));
/// </code>
/// </example>
public sealed partial class BatchNormalizationState : IEquatable<BatchNormalizationState>
{
    readonly float[] gamma, beta;
    readonly double[] movingMean, movingVariance;
    readonly PopulationMoments? population;
    readonly ChannelHistograms? histograms;

    /// <summary>A state from known statistics, such as those of a pretrained network.</summary>
    /// <param name="movingMean">One finite value per channel; at least one channel.</param>
    /// <param name="movingVariance">One value per channel, finite and not negative.</param>
    /// <param name="gamma">One finite value per channel, or empty for a layer without scale.</param>
    /// <param name="beta">One finite value per channel, or empty for a layer without center.</param>
    /// <param name="batchesSeen">
    /// The number of batches in the statistics (PyTorch's <c>num_batches_tracked</c>).
    /// </param>
    /// <param name="renorm">Renormalization's averages, or null.</param>
    /// <exception cref="ArgumentException">
    /// Lengths differ, or a value is out of range; the message names it.
    /// </exception>
    public BatchNormalizationState(
        ReadOnlySpan<double> movingMean,
        ReadOnlySpan<double> movingVariance,
        ReadOnlySpan<float> gamma = default,
        ReadOnlySpan<float> beta = default,
        long batchesSeen = 0,
        RenormStatistics? renorm = null)
        : this(
            movingMean.ToArray(), movingVariance.ToArray(), gamma.ToArray(), beta.ToArray(), batchesSeen,
            initialWeight: 0, renorm, population: null)
    {
        CheckValues();
    }

    internal BatchNormalizationState(
        double[] movingMean, double[] movingVariance, float[] gamma, float[] beta,
        long batchesSeen, double initialWeight, RenormStatistics? renorm, PopulationMoments? population,
        ChannelHistograms? histograms = null)
    {
        this.movingMean = movingMean;
        this.movingVariance = movingVariance;
        this.gamma = gamma;
        this.beta = beta;
        BatchesSeen = batchesSeen;
        InitialWeight = initialWeight;
        Renorm = renorm;
        this.population = population;
        this.histograms = histograms;
    }

    /// <summary>The number of channels.</summary>
    public int Channels => movingMean.Length;

    /// <summary>γ, one value per channel; empty for a layer without scale.</summary>
    public ReadOnlySpan<float> Gamma => gamma;

    /// <summary><see cref="Gamma"/> as an array, which is not a copy.</summary>
    public ImmutableArray<float> GammaArray => ImmutableCollectionsMarshal.AsImmutableArray(gamma);

    /// <summary>β, one value per channel; empty for a layer without center.</summary>
    public ReadOnlySpan<float> Beta => beta;

    /// <summary><see cref="Beta"/> as an array, which is not a copy.</summary>
    public ImmutableArray<float> BetaArray => ImmutableCollectionsMarshal.AsImmutableArray(beta);

    /// <summary>The moving mean, one value per channel, in the input's unit.</summary>
    public ReadOnlySpan<double> MovingMean => movingMean;

    /// <summary><see cref="MovingMean"/> as an array, which is not a copy.</summary>
    public ImmutableArray<double> MovingMeanArray => ImmutableCollectionsMarshal.AsImmutableArray(movingMean);

    /// <summary>The moving variance, one value per channel, in the square of the input's unit.</summary>
    public ReadOnlySpan<double> MovingVariance => movingVariance;

    /// <summary><see cref="MovingVariance"/> as an array, which is not a copy.</summary>
    public ImmutableArray<double> MovingVarianceArray =>
        ImmutableCollectionsMarshal.AsImmutableArray(movingVariance);

    /// <summary>The number of batches that have moved the statistics.</summary>
    public long BatchesSeen { get; }

    /// <summary>
    /// The share of the moving statistics, from 0 to 1, that is still the initializer's: 1 in a fresh state,
    /// <c>dᵗ</c> after t batches of <see cref="MovingStatistics.Exponential"/>, 0 after a batch of another kind and in
    /// a state from known statistics. Above 0.05, inference is visibly biased towards the initializer.
    /// </summary>
    public double InitialWeight { get; }

    /// <summary>Renormalization's averages, or null if the layer has none.</summary>
    public RenormStatistics? Renorm { get; }

    internal PopulationMoments? Population => population;

    /// <summary>The histograms, which nobody may change.</summary>
    internal ChannelHistograms? Histograms => histograms;

    internal float[] OwnGamma => gamma;

    internal float[] OwnBeta => beta;

    /// <summary>
    /// The exact statistics behind <see cref="MovingStatistics.Population"/>, as a new object, or null in a state
    /// that has none.
    /// </summary>
    public BatchStatistics? GetPopulation() => population?.ToStatistics(movingMean);

    /// <summary>
    /// How the values behind the exact statistics are distributed, as a new object, or null if the state does not keep
    /// that.
    /// </summary>
    public ChannelHistograms? GetHistograms() => histograms?.Copy();

    /// <summary>
    /// The same state with exact statistics: each channel for which <paramref name="statistics"/> has values takes its
    /// mean and variance from them. Histograms are dropped, since they would not count the same values: give the state
    /// new ones (<see cref="WithHistograms"/>).
    /// </summary>
    /// <param name="statistics">Statistics of the same number of channels.</param>
    /// <param name="convention">Which variance becomes the moving one.</param>
    /// <param name="batches">The number of batches in the statistics, added to <see cref="BatchesSeen"/>.</param>
    /// <exception cref="ArgumentException">The number of channels differs.</exception>
    /// <exception cref="InvalidDataException">
    /// A channel has one value and the sample variance is asked for, or a statistic overflowed.
    /// </exception>
    [Pure]
    public unsafe BatchNormalizationState WithPopulation(
        BatchStatistics statistics, VarianceConvention convention = VarianceConvention.Population, long batches = 1)
    {
        ArgumentNullException.ThrowIfNull(statistics);
        ArgumentOutOfRangeException.ThrowIfNegative(batches);
        if (statistics.Channels != Channels)
            throw new ArgumentException(
                $"The statistics have {statistics.Channels} channels, the state has {Channels}.", nameof(statistics));
        if (statistics.IsEmpty)
            return this;

        MovingUpdate.CheckVariances([statistics], convention);
        double[] mean = [.. movingMean], variance = [.. movingVariance];
        fixed (double* moments = statistics.Packed)
            MovingUpdate.TakeExact(Moments.In(moments, Channels), convention, mean, variance);
        return new BatchNormalizationState(
            mean, variance, gamma, beta, BatchesSeen + batches, initialWeight: 0, Renorm,
            new PopulationMoments(statistics));
    }

    /// <summary>The same state with the exact statistics of no values.</summary>
    internal BatchNormalizationState WithEmptyPopulation() => new(
        movingMean, movingVariance, gamma, beta, BatchesSeen, InitialWeight, Renorm,
        new PopulationMoments(new BatchStatistics(Channels)));

    /// <summary>The same state with histograms of the values behind its exact statistics.</summary>
    /// <param name="histograms">Histograms of exactly these values; the state keeps a copy.</param>
    /// <exception cref="ArgumentException">
    /// The state has no exact statistics, or the histograms have another number of channels or of values.
    /// </exception>
    [Pure]
    public BatchNormalizationState WithHistograms(ChannelHistograms histograms)
    {
        ArgumentNullException.ThrowIfNull(histograms);
        var next = new BatchNormalizationState(
            movingMean, movingVariance, gamma, beta, BatchesSeen, InitialWeight, Renorm, population, histograms.Copy());
        return next.HistogramFault(nameof(histograms)) is { } fault
            ? throw new ArgumentException(fault, nameof(histograms))
            : next;
    }

    /// <summary>What is wrong with the number of values in the histograms, in words, or null.</summary>
    internal string? HistogramFault(string name)
    {
        if (population is null)
            return $"The {name} need exact statistics of the same values, and the state has none.";
        if (histograms!.Channels != Channels)
            return $"The {name} have {histograms.Channels} channels, the state has {Channels}.";
        for (int c = 0; c < Channels; c++)
        {
            if (histograms.FiniteCount(c) != population.Count[c])
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"The {name} of channel {c} count {histograms.FiniteCount(c)} values, its exact statistics "
                    + $"{population.Count[c]}.");
        }
        return null;
    }

    /// <summary>
    /// The same state with the statistics of a mixture of two distributions: its own and the exact ones of
    /// <paramref name="exact"/>.
    /// </summary>
    /// <param name="exact">A state with exact statistics. Channels without values stay.</param>
    /// <param name="weight">The share of the exact ones; null for their share of all values.</param>
    /// <param name="convention">Which variance becomes the moving one.</param>
    internal BatchNormalizationState Mixed(
        BatchNormalizationState exact, double? weight, VarianceConvention convention)
    {
        BatchStatistics added = exact.GetPopulation()!;
        if (weight is null)
        {
            BatchStatistics all = GetPopulation()!;
            all.Merge(added);
            return WithPopulation(all, convention);
        }
        if (weight is 0)
            return this;
        if (weight is 1)
            return WithPopulation(added, convention);
        double share = weight.Value;
        double[] mean = [.. movingMean], variance = [.. movingVariance];
        for (int c = 0; c < Channels; c++)
        {
            if (added.Count[c] == 0)
                continue;
            double distance = exact.movingMean[c] - mean[c];
            mean[c] = MovingUpdate.Exponential(mean[c], exact.movingMean[c], 1 - share);
            variance[c] = MovingUpdate.Exponential(variance[c], exact.movingVariance[c], 1 - share)
                + share * (1 - share) * distance * distance;
        }
        return new BatchNormalizationState(
            mean, variance, gamma, beta, BatchesSeen + 1, (1 - share) * InitialWeight, Renorm, population: null);
    }

    /// <summary>The same state, whose statistics count as an initializer's: exact ones replace them.</summary>
    internal BatchNormalizationState AsInitializer() => new(
        movingMean, movingVariance, gamma, beta, batchesSeen: 0, initialWeight: 1, Renorm, population: null);

    /// <summary>The same state with renormalization that begins at the moving statistics.</summary>
    internal BatchNormalizationState WithRenormAtMovingStatistics() => new(
        movingMean, movingVariance, gamma, beta, BatchesSeen, InitialWeight,
        Renormalization.Initialize(movingMean, movingVariance), population, histograms);

    /// <summary>The same state with other moving variances; the exact statistics stay.</summary>
    internal BatchNormalizationState WithMovingVariance(double[] variance) => new(
        movingMean, variance, gamma, beta, BatchesSeen, InitialWeight, Renorm, population, histograms);

    /// <summary>The same state, where channels that were treated as constant have their exact variance.</summary>
    internal BatchNormalizationState WithoutConstants(VarianceConvention convention)
    {
        if (GetPopulation() is not { } exact)
            return this;
        double[] variance = [.. movingVariance];
        for (int c = 0; c < Channels; c++)
        {
            if (variance[c] == 0 && exact.M2[c] > 0)
                variance[c] = exact.Variance(c, convention);
        }
        return WithMovingVariance(variance);
    }

    /// <summary>The same state with other γ and β.</summary>
    /// <param name="gamma">One finite value per channel, or empty for a layer without scale.</param>
    /// <param name="beta">One finite value per channel, or empty for a layer without center.</param>
    /// <exception cref="ArgumentException">A length or a value is out of range.</exception>
    [Pure]
    public BatchNormalizationState WithAffine(ReadOnlySpan<float> gamma, ReadOnlySpan<float> beta)
    {
        var next = new BatchNormalizationState(
            movingMean, movingVariance, gamma.ToArray(), beta.ToArray(), BatchesSeen, InitialWeight, Renorm,
            population, histograms);
        next.CheckValues();
        return next;
    }

    /// <inheritdoc/>
    public bool Equals(BatchNormalizationState? other) =>
        other is not null
        && BatchesSeen == other.BatchesSeen
        && Same([InitialWeight], [other.InitialWeight])
        && SameBits<float>(gamma, other.gamma)
        && SameBits<float>(beta, other.beta)
        && Same(movingMean, other.movingMean)
        && Same(movingVariance, other.movingVariance)
        && (Renorm is null) == (other.Renorm is null)
        && (Renorm is null
            || Same(Renorm.MovingStandardDeviation, other.Renorm!.MovingStandardDeviation)
            && Same(Renorm.Mean, other.Renorm.Mean)
            && Same(Renorm.StandardDeviation, other.Renorm.StandardDeviation))
        && (population is null) == (other.population is null)
        && (population is null
            || Same(population.Count, other.population!.Count)
            && Same(population.M2, other.population.M2)
            && Same(population.MeanRest, other.population.MeanRest)
            && Same(population.M2Rest, other.population.M2Rest))
        && (histograms is null) == (other.histograms is null)
        && (histograms is null || histograms.HasBitsOf(other.histograms!));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as BatchNormalizationState);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(BatchesSeen);
        hash.AddBytes(MemoryMarshal.AsBytes<double>(movingMean));
        hash.AddBytes(MemoryMarshal.AsBytes<double>(movingVariance));
        return hash.ToHashCode();
    }

    void CheckValues()
    {
        if (Channels == 0)
            throw new ArgumentException("A state has at least one channel; movingMean is empty.", nameof(movingMean));
        StateCheck.Finite<double>(movingMean, Channels, nameof(movingMean));
        StateCheck.NotNegative(movingVariance, Channels, nameof(movingVariance));
        if (gamma.Length > 0)
            StateCheck.Finite<float>(gamma, Channels, nameof(gamma));
        if (beta.Length > 0)
            StateCheck.Finite<float>(beta, Channels, nameof(beta));
        ArgumentOutOfRangeException.ThrowIfNegative(BatchesSeen, "batchesSeen");
        if (Renorm is not null && Renorm.Mean.Length != Channels)
            throw new ArgumentException(
                $"The argument renorm has {Renorm.Mean.Length} channels, movingMean has {Channels}.", "renorm");
    }

    static bool Same(ReadOnlySpan<double> left, ReadOnlySpan<double> right) => SameBits(left, right);

    static bool SameBits<T>(ReadOnlySpan<T> left, ReadOnlySpan<T> right) where T : struct =>
        MemoryMarshal.AsBytes(left).SequenceEqual(MemoryMarshal.AsBytes(right));
}

/// <summary>
/// What <see cref="BatchNormalizationState.Load"/> or <see cref="BatchNormalizationState.LoadSafetensors"/> found: how
/// a layer computes, and what it has learned. Equal if both are.
/// </summary>
/// <param name="Options">
/// The layer's options. If the file states none, they are those that its names imply:
/// <see cref="BatchNormalizationOptions.PyTorch"/> or <see cref="BatchNormalizationOptions.Keras"/>, with γ and β as
/// the file has them. If you know better, write
/// <c>saved with { Options = saved.Options with { Epsilon = 1e-4 } }</c>.
/// </param>
/// <param name="State">The layer's state.</param>
public sealed record SavedBatchNormalization(BatchNormalizationOptions Options, BatchNormalizationState State);

/// <summary>
/// What a state keeps beside the moving mean to continue merging exact statistics: the count and sum of squared
/// deviations of each channel, and what is known of mean and sum beyond their doubles.
/// </summary>
sealed class PopulationMoments(double[] count, double[] m2, double[] meanRest, double[] m2Rest)
{
    /// <summary>The arrays of one value per channel.</summary>
    public const int Arrays = 4;

    public PopulationMoments(BatchStatistics statistics)
        : this(
            statistics.Count.ToArray(), statistics.M2.ToArray(), statistics.MeanRest.ToArray(),
            statistics.M2Rest.ToArray())
    {
    }

    public ReadOnlySpan<double> Count => count;

    public ReadOnlySpan<double> M2 => m2;

    public ReadOnlySpan<double> MeanRest => meanRest;

    public ReadOnlySpan<double> M2Rest => m2Rest;

    /// <summary>The same with the values of each array in another order.</summary>
    public PopulationMoments Reorder(Func<double[], double[]> order) =>
        new(order(count), order(m2), order(meanRest), order(m2Rest));

    /// <param name="mean">The moving means, which are exact for channels that have values.</param>
    public BatchStatistics ToStatistics(ReadOnlySpan<double> mean)
    {
        double[] means = mean.ToArray();
        for (int c = 0; c < means.Length; c++)
        {
            if (count[c] == 0)
                means[c] = 0;
        }
        return new BatchStatistics([.. count, .. means, .. m2, .. meanRest, .. m2Rest]);
    }
}
