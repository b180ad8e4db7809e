using System.Diagnostics.Contracts;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// All that a batch normalization layer has learned and seen: γ, β, moving mean and variance, and what continuing
/// needs. An immutable value; two are equal when every bit is.
/// </summary>
/// <remarks>
/// Statistics are kept in double, γ and β in float. <see cref="BatchNormalization.Initialize"/> makes a fresh one,
/// the constructor one from another framework's numbers, <see cref="Load"/> and <see cref="LoadSafetensors"/> one
/// from a stream.
/// </remarks>
public sealed partial class BatchNormalizationState : IEquatable<BatchNormalizationState>
{
    readonly float[] gamma, beta;
    readonly double[] movingMean, movingVariance;
    readonly PopulationMoments? population;

    /// <summary>A state from known statistics, such as those of a pretrained network.</summary>
    /// <param name="movingMean">One finite value a channel; at least one channel.</param>
    /// <param name="movingVariance">One value a channel, finite and not negative.</param>
    /// <param name="gamma">One finite value a channel, or empty for a layer without scale.</param>
    /// <param name="beta">One finite value a channel, or empty for a layer without center.</param>
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
        long batchesSeen, double initialWeight, RenormStatistics? renorm, PopulationMoments? population)
    {
        this.movingMean = movingMean;
        this.movingVariance = movingVariance;
        this.gamma = gamma;
        this.beta = beta;
        BatchesSeen = batchesSeen;
        InitialWeight = initialWeight;
        Renorm = renorm;
        this.population = population;
    }

    /// <summary>The number of channels.</summary>
    public int Channels => movingMean.Length;

    /// <summary>γ, one value a channel; empty for a layer without scale.</summary>
    public ReadOnlySpan<float> Gamma => gamma;

    /// <summary>β, one value a channel; empty for a layer without center.</summary>
    public ReadOnlySpan<float> Beta => beta;

    /// <summary>The moving mean, one value a channel, in the input's unit.</summary>
    public ReadOnlySpan<double> MovingMean => movingMean;

    /// <summary>The moving variance, one value a channel, in the square of the input's unit.</summary>
    public ReadOnlySpan<double> MovingVariance => movingVariance;

    /// <summary>The number of batches that have moved the statistics.</summary>
    public long BatchesSeen { get; }

    /// <summary>
    /// The share of the moving statistics, from 0 to 1, that is still the initializer's: 1 in a fresh state,
    /// <c>dᵗ</c> after t batches of <see cref="MovingStatistics.Exponential"/>, 0 after one of the other kinds and in
    /// a state made from known statistics. Over 0.05, inference is visibly biased towards the initializer.
    /// </summary>
    public double InitialWeight { get; }

    /// <summary>Renormalization's averages, or null where the layer has none.</summary>
    public RenormStatistics? Renorm { get; }

    internal PopulationMoments? Population => population;

    internal float[] GammaArray => gamma;

    internal float[] BetaArray => beta;

    /// <summary>
    /// The exact statistics behind <see cref="MovingStatistics.Population"/>, as a new object, or null in a state
    /// that has none.
    /// </summary>
    public BatchStatistics? GetPopulation() => population?.ToStatistics(movingMean);

    /// <summary>
    /// The same state with exact statistics: the moving mean and variance of each channel that
    /// <paramref name="statistics"/> has values of become its own.
    /// </summary>
    /// <param name="statistics">Statistics of as many channels.</param>
    /// <param name="convention">Which variance becomes the moving one.</param>
    /// <param name="batches">The number of batches behind the statistics, added to <see cref="BatchesSeen"/>.</param>
    /// <exception cref="ArgumentException">The number of channels differs.</exception>
    /// <exception cref="InvalidDataException">
    /// A channel has one value and the sample variance is asked for, or a statistic overflowed.
    /// </exception>
    [Pure]
    public BatchNormalizationState WithPopulation(
        BatchStatistics statistics, VarianceConvention convention = VarianceConvention.Population, long batches = 1)
    {
        ArgumentNullException.ThrowIfNull(statistics);
        ArgumentOutOfRangeException.ThrowIfNegative(batches);
        if (statistics.Channels != Channels)
            throw new ArgumentException(
                $"The statistics have {statistics.Channels} channels, the state has {Channels}.", nameof(statistics));
        if (statistics.IsEmpty)
            return this;

        double[] mean = [.. movingMean], variance = [.. movingVariance];
        for (int c = 0; c < Channels; c++)
        {
            if (statistics.Count[c] == 0)
                continue;
            mean[c] = statistics.Mean[c];
            variance[c] = statistics.Variance(c, convention);
        }
        return new BatchNormalizationState(
            mean, variance, gamma, beta, BatchesSeen + batches, initialWeight: 0, Renorm,
            new PopulationMoments(statistics));
    }

    /// <summary>The same state with renormalization that begins at the moving statistics.</summary>
    internal BatchNormalizationState WithRenormAtMovingStatistics() => new(
        movingMean, movingVariance, gamma, beta, BatchesSeen, InitialWeight,
        Renormalization.Initialize(movingMean, movingVariance), population);

    /// <summary>The same state with other moving variances; the exact statistics stay.</summary>
    internal BatchNormalizationState WithMovingVariance(double[] variance) => new(
        movingMean, variance, gamma, beta, BatchesSeen, InitialWeight, Renorm, population);

    /// <summary>The same state with the exact variance of channels that count as constant.</summary>
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
    /// <param name="gamma">One finite value a channel, or empty for a layer without scale.</param>
    /// <param name="beta">One finite value a channel, or empty for a layer without center.</param>
    /// <exception cref="ArgumentException">A length or a value is out of range.</exception>
    [Pure]
    public BatchNormalizationState WithAffine(ReadOnlySpan<float> gamma, ReadOnlySpan<float> beta)
    {
        var next = new BatchNormalizationState(
            movingMean, movingVariance, gamma.ToArray(), beta.ToArray(), BatchesSeen, InitialWeight, Renorm,
            population);
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
            && Same(population.M2Rest, other.population.M2Rest));

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
