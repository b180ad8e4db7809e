namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How a batch normalization layer computes: an immutable value, changed with <c>with { … }</c>.
/// </summary>
/// <remarks>
/// <para>
/// <see cref="Epsilon"/>, <see cref="Momentum"/>, <see cref="MovingStatistics"/> and <see cref="VarianceConvention"/>
/// are null until you set them; <see cref="Keras"/> and <see cref="PyTorch"/> set all four. Whoever receives the
/// options fills in what is still null: ML.NET's estimator takes exact statistics and an ε of 0, a network takes its
/// preset's numbers, and loading a file takes what the file states, or else what its names imply. Everything else, such
/// as the functions of <see cref="BatchNormalization"/>, takes Keras's numbers.
/// </para>
/// Names follow Keras's <c>BatchNormalization</c>. The options decide which mode a call runs in:
/// <list type="table">
/// <listheader>
/// <term>training asked for, <see cref="Trainable"/></term>
/// <description>mode; γ and β learn; moving statistics move</description>
/// </listheader>
/// <item><term>false, any</term><description>inference; no; no</description></item>
/// <item><term>true, true</term><description>training; yes; yes</description></item>
/// <item><term>true, false</term><description>inference; no; no</description></item>
/// </list>
/// <see cref="UpdateStatistics"/> and <see cref="TrainAffine"/> are the two halves of <see cref="Trainable"/>.
/// </remarks>
public sealed record BatchNormalizationOptions
{
    /// <summary>
    /// Keras's defaults: a momentum of 0.99 and an ε of 1e-3; the moving variance follows the population variance.
    /// </summary>
    public static BatchNormalizationOptions Keras { get; } = new()
    {
        Momentum = 0.99,
        Epsilon = 1e-3,
        MovingStatistics = BatchNorm.MovingStatistics.Exponential,
        VarianceConvention = BatchNorm.VarianceConvention.Population,
    };

    /// <summary>
    /// PyTorch's defaults: <c>momentum=0.1</c> (a <see cref="Momentum"/> of 0.9 here) and an ε of 1e-5; the moving
    /// variance follows the sample variance.
    /// </summary>
    public static BatchNormalizationOptions PyTorch { get; } = new()
    {
        Momentum = 0.9,
        Epsilon = 1e-5,
        MovingStatistics = BatchNorm.MovingStatistics.Exponential,
        VarianceConvention = BatchNorm.VarianceConvention.Sample,
    };

    /// <summary>
    /// The channel axis of the input's shape, with the batch as dimension 0, so that channels first is 1; a negative
    /// number counts from the end. If it is null, a layer of a network takes 1, and ML.NET's estimator decides by the
    /// column's dimensions. Default: null.
    /// </summary>
    public int? Axis { get; init; }

    /// <summary>
    /// The share of the old moving statistic that stays at each batch, from 0 to 1: Keras's <c>momentum</c>, or 1 minus
    /// PyTorch's. Only <see cref="MovingStatistics.Exponential"/> uses it. Default: null, not set.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not between 0 and 1.</exception>
    public double? Momentum { get; init => field = Check.Momentum(value, nameof(Momentum)); }

    /// <summary>
    /// ε, added to the variance, in the square of the input's unit; at least 0. With 0, a channel without variance
    /// is mapped to β. Default: null, not set.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double? Epsilon { get; init => field = Check.NotNegative(value, nameof(Epsilon)); }

    /// <summary>Whether β is added. Default: true.</summary>
    public bool Center { get; init; } = true;

    /// <summary>Whether the normalized value is multiplied by γ. Default: true.</summary>
    public bool Scale { get; init; } = true;

    /// <summary>
    /// False freezes the layer: it runs in inference mode whatever a call asks for, and γ, β and the moving statistics
    /// never change. Default: true.
    /// </summary>
    public bool Trainable { get; init; } = true;

    /// <summary>
    /// If false, the layer keeps its moving statistics and normalizes with them in training too, while γ and β still
    /// learn.
    /// Default: true.
    /// </summary>
    public bool UpdateStatistics { get; init; } = true;

    /// <summary>If false, γ and β stay while the moving statistics still move. Default: true.</summary>
    public bool TrainAffine { get; init; } = true;

    /// <summary>How batches enter the moving statistics. Default: null, not set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    public MovingStatistics? MovingStatistics
    {
        get;
        init => field = Check.Defined(value, nameof(MovingStatistics));
    }

    /// <summary>Which variance enters the moving variance. Default: null, not set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    public VarianceConvention? VarianceConvention
    {
        get;
        init => field = Check.Defined(value, nameof(VarianceConvention));
    }

    /// <summary>
    /// If false, there are no moving statistics, and each batch is normalized with its own in both modes (PyTorch's
    /// <c>track_running_stats=False</c>). Default: true.
    /// </summary>
    public bool TrackMovingStatistics { get; init; } = true;

    /// <summary>
    /// Batch renormalization, or null for none. It needs <see cref="MovingStatistics.Exponential"/>, and cannot be
    /// combined with <see cref="VirtualBatchSize"/>. Default: null.
    /// </summary>
    public RenormOptions? Renorm { get; init; }

    /// <summary>
    /// The number of rows that share statistics in training mode ("ghost batches"), or null for the whole batch.
    /// With <c>g = ⌈rows / VirtualBatchSize⌉</c> groups, row <c>i</c> is in group <c>i mod g</c>, as in Keras. Keras
    /// demands that the size divides the batch; here group sizes may differ by one. No row is left alone: with a size
    /// of 2 and an odd number of rows, one group has three. The moving statistics take one step per batch, towards the
    /// average over the groups. Default: null.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int? VirtualBatchSize
    {
        get;
        init => field = value is { } size ? Check.Positive(size, nameof(VirtualBatchSize)) : value;
    }

    /// <summary>What happens to NaN and infinite inputs. Default: <see cref="NonFinite.Throw"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    public NonFinite NonFinite { get; init => field = Check.Defined(value, nameof(NonFinite)); }

    /// <summary>The first value of γ. Default: ones.</summary>
    public Initializer GammaInitializer { get; init => field = Check.NotNull(value); } = Initializer.Ones;

    /// <summary>The first value of β. Default: zeros.</summary>
    public Initializer BetaInitializer { get; init => field = Check.NotNull(value); } = Initializer.Zeros;

    /// <summary>The first value of the moving mean. Default: zeros.</summary>
    public Initializer MovingMeanInitializer { get; init => field = Check.NotNull(value); } = Initializer.Zeros;

    /// <summary>The first value of the moving variance. Default: ones.</summary>
    public Initializer MovingVarianceInitializer { get; init => field = Check.NotNull(value); } = Initializer.Ones;

    /// <summary>The penalty on γ, or null for none. Default: null.</summary>
    public Regularizer? GammaRegularizer { get; init; }

    /// <summary>The penalty on β, or null for none. Default: null.</summary>
    public Regularizer? BetaRegularizer { get; init; }

    /// <summary>The constraint that γ is projected onto after each step, or null for none. Default: null.</summary>
    public Constraint? GammaConstraint { get; init; }

    /// <summary>The constraint that β is projected onto after each step, or null for none. Default: null.</summary>
    public Constraint? BetaConstraint { get; init; }

    /// <summary>Checks what concerns several options at once.</summary>
    /// <exception cref="ArgumentException">Two options contradict each other; the message names both.</exception>
    public void Validate()
    {
        if (Renorm is { RMin: { } rMin, RMax: { } rMax } && rMin >= rMax)
            throw new ArgumentException($"Renorm.RMax ({rMax}) must be above Renorm.RMin ({rMin}).");
        if (Renorm is not null && VirtualBatchSize is { } size)
            throw new ArgumentException($"Renorm and VirtualBatchSize ({size}) cannot be combined.");
        if (Renorm is not null && MovingStatistics is not (null or BatchNorm.MovingStatistics.Exponential))
            throw new ArgumentException($"Renorm needs MovingStatistics.Exponential, not {MovingStatistics}.");
        if (Renorm is not null && !TrackMovingStatistics)
            throw new ArgumentException("Renorm needs TrackMovingStatistics.");
    }

    /// <summary>The value to compute with: the option, or Keras's if it is null.</summary>
    internal double EffectiveEpsilon => Epsilon ?? Keras.Epsilon!.Value;

    /// <inheritdoc cref="EffectiveEpsilon"/>
    internal double EffectiveMomentum => Momentum ?? Keras.Momentum!.Value;

    /// <inheritdoc cref="EffectiveEpsilon"/>
    internal MovingStatistics EffectiveMovingStatistics => MovingStatistics ?? Keras.MovingStatistics!.Value;

    /// <inheritdoc cref="EffectiveEpsilon"/>
    internal VarianceConvention EffectiveVarianceConvention => VarianceConvention ?? Keras.VarianceConvention!.Value;

    /// <summary>The options, with those of <paramref name="others"/> where these are null.</summary>
    internal BatchNormalizationOptions Or(BatchNormalizationOptions others) => this with
    {
        Epsilon = Epsilon ?? others.Epsilon,
        Momentum = Momentum ?? others.Momentum,
        MovingStatistics = MovingStatistics ?? others.MovingStatistics,
        VarianceConvention = VarianceConvention ?? others.VarianceConvention,
    };

    /// <summary>
    /// Whether a call normalizes with the batch's own statistics; otherwise it takes the moving ones, which stay.
    /// </summary>
    internal bool UsesBatchStatistics(bool training) =>
        !TrackMovingStatistics || MovesStatistics(training);

    internal bool MovesStatistics(bool training) =>
        TrackMovingStatistics && training && Trainable && UpdateStatistics;
}

/// <summary>How a batch in training mode enters the moving mean and the moving variance.</summary>
public enum MovingStatistics
{
    /// <summary>
    /// <c>m ← d·m + (1 − d)·batch</c> with <c>d</c> = <see cref="BatchNormalizationOptions.Momentum"/>:
    /// Keras's and PyTorch's moving average. The default of a layer.
    /// </summary>
    Exponential,

    /// <summary>
    /// The plain average of the batches seen, <c>d = 1 − 1/t</c> at batch <c>t</c>: PyTorch's <c>momentum=None</c>.
    /// </summary>
    Cumulative,

    /// <summary>
    /// The exact statistics of all positions seen, whatever the batch size and order. Batches are merged by
    /// count, mean and sum of squared deviations (Chan, Golub, LeVeque, 1983). If a state holds averages of another
    /// kind, or statistics from elsewhere, its next batch starts a population and replaces them.
    /// </summary>
    Population,
}

/// <summary>Which variance enters the moving variance. Normalization itself always divides by <c>n</c>.</summary>
public enum VarianceConvention
{
    /// <summary><c>Σ (x − μ)² / n</c>, as in Keras.</summary>
    Population,

    /// <summary>
    /// <c>Σ (x − μ)² / (n − 1)</c>, as in PyTorch. A channel with a single value is an error in training mode.
    /// </summary>
    Sample,
}

/// <summary>What happens to an input that is NaN or infinite.</summary>
public enum NonFinite
{
    /// <summary>
    /// An <see cref="InvalidDataException"/> that names channel, row and value; no state changes. The default.
    /// </summary>
    Throw,

    /// <summary>The value counts in no statistic, and passes through unchanged.</summary>
    Ignore,
}

/// <summary>
/// Batch renormalization: in training mode the output is <c>γ (x̂·r + d) + β</c>, where
/// <c>r = √(σ² + ε) / s</c> and <c>d = (μ − m) / s</c> pull the batch towards the renormalization averages
/// <c>m</c> and <c>s</c>, and are constants for the gradient.
/// </summary>
/// <remarks>
/// Source: Ioffe, 2017, "Batch Renormalization" (arXiv 1702.03275); Keras's <c>renorm</c>,
/// <c>renorm_clipping</c> and <c>renorm_momentum</c>.
/// </remarks>
public sealed record RenormOptions
{
    /// <summary>The lower limit of <c>r</c>, at least 0 and below <see cref="RMax"/>. Default: none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or NaN.</exception>
    public double? RMin { get; init => field = Check.NotNegative(value, nameof(RMin)); }

    /// <summary>The upper limit of <c>r</c>, at least 0 and above <see cref="RMin"/>. Default: none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or NaN.</exception>
    public double? RMax { get; init => field = Check.NotNegative(value, nameof(RMax)); }

    /// <summary><c>d</c> is kept within ±<see cref="DMax"/>, at least 0. Default: none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or NaN.</exception>
    public double? DMax { get; init => field = Check.NotNegative(value, nameof(DMax)); }

    /// <summary>
    /// The share of the old renormalization average that stays, from 0 to 1. Default: 0.99
    /// (Keras's <c>renorm_momentum</c>).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not between 0 and 1.</exception>
    public double Momentum { get; init => field = Check.Momentum(value, nameof(Momentum)); } = 0.99;
}
