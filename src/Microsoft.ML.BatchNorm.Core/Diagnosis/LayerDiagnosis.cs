namespace Microsoft.ML.BatchNorm;

/// <summary>What is wrong with the moving statistics of a batch normalization, if anything.</summary>
public enum NormalizationFault
{
    /// <summary>Nothing is known to be wrong.</summary>
    None,

    /// <summary>
    /// The statistics still hold the initializer: there were too few steps for the momentum. Recompute them, or take a
    /// lower momentum.
    /// </summary>
    Initializer,

    /// <summary>
    /// The layer is frozen with statistics of other rows or of other weights before it. Unfreeze it and recompute.
    /// </summary>
    Frozen,

    /// <summary>
    /// The momentum keeps only the last few batches, so that the statistics are noise. PyTorch's 0.1 is 0.9 here.
    /// Recompute, and take a greater momentum.
    /// </summary>
    FastMomentum,

    /// <summary>
    /// The momentum keeps so many batches that the statistics are those of earlier weights. Recompute, and take a lower
    /// momentum.
    /// </summary>
    SlowMomentum,

    /// <summary>
    /// Batches have so few values per channel that their variances are far from the variance. Train with larger batches,
    /// or freeze the layers.
    /// </summary>
    SmallBatches,

    /// <summary>
    /// The training took its rows in an order that means something, such as class by class, and the statistics are those
    /// of the last ones. Shuffle, and recompute.
    /// </summary>
    RowOrder,

    /// <summary>
    /// The rows have another scale than those of the training, such as pixels to 255 instead of 1. Scale them as in
    /// training.
    /// </summary>
    InputScale,

    /// <summary>The statistics fit another ε than the layer has. Set the ε of the training.</summary>
    Epsilon,

    /// <summary>
    /// Dropout or random changes of images before the layer give its input another variance in training than in
    /// inference (Li and others, 2019). Recompute the statistics, or move the dropout behind the layer.
    /// </summary>
    Dropout,

    /// <summary>
    /// The rows come from elsewhere than those of the training. Recompute the statistics on them, which needs no
    /// labels, or fine-tune.
    /// </summary>
    OtherRows,

    /// <summary>
    /// The statistics do not fit these rows, and the evidence does not tell why. They may be averages that lag behind,
    /// or the rows may be others than those of the training: <see cref="DiagnosisOptions.TrainingRows"/> tells.
    /// </summary>
    Unexplained,
}

/// <summary>What a diagnosis has found in one batch normalization layer; immutable.</summary>
/// <remarks>
/// m and v are a channel's moving mean and variance, μ and σ² the exact ones of the rows. Unless something else is said,
/// the exact ones are those that <see cref="NetworkTrainer.RecomputeStatistics"/> gives: of what the layer gets when the
/// layers before it have theirs. A layer whose only fault is that an earlier one is wrong thereby fits.
/// </remarks>
public sealed record LayerDiagnosis
{
    /// <summary>The layer's path.</summary>
    public required string Layer { get; init; }

    /// <summary>The number of channels.</summary>
    public required int Channels { get; init; }

    /// <summary>
    /// How far the layer's outputs are from what they are under exact statistics, in standard deviations before γ and
    /// β, the root mean square over values and channels: <c>√((μ − m)²/(v + ε) + σ²(1/√(v + ε) − 1/√(σ² + ε))²)</c>.
    /// 1/√0 counts as 0, as in the layer. 0 if the moving statistics are exact.
    /// </summary>
    public required double Displacement { get; init; }

    /// <summary>
    /// The same, with the exact statistics of what the layer gets now, when the layers before it are as they are.
    /// </summary>
    public required double DisplacementAsServed { get; init; }

    /// <summary>
    /// The displacement that the choice of the rows alone would give, estimated from two random halves of them; NaN for
    /// fewer than 4 rows.
    /// </summary>
    public required double StandardError { get; init; }

    /// <summary>The root mean square over the channels of (m − μ)/√(σ² + ε).</summary>
    public required double MeanShift { get; init; }

    /// <summary>The geometric mean over the channels of (v + ε)/(σ² + ε).</summary>
    public required double VarianceRatio { get; init; }

    /// <summary>
    /// The share of the difference between the network's outputs under moving and under exact statistics that is this
    /// layer's doing. The layers get exact statistics one after the other, in their order. The share of a layer is the
    /// part that its step moves the outputs in the direction of the whole difference, so the shares of all layers sum to
    /// 1; a share is negative if its layer makes up for others. 0 if there is no difference.
    /// </summary>
    public required double Share { get; init; }

    /// <summary>The share of the moving statistics that is still the initializer's, as the state knows it.</summary>
    public required double InitialWeight { get; init; }

    /// <summary>The number of batches that have moved the statistics, as the state knows it.</summary>
    public required long BatchesSeen { get; init; }

    /// <summary>
    /// The number of channels whose variance on these rows is at most a millionth of ε or of the squared mean. They give
    /// β, or noise.
    /// </summary>
    public required int ConstantChannels { get; init; }

    /// <summary>
    /// <see cref="Displacement"/> on <see cref="DiagnosisOptions.TrainingRows"/>; null if they are not known.
    /// </summary>
    public double? DisplacementInTraining { get; init; }

    /// <summary>What is wrong.</summary>
    public NormalizationFault Fault { get; init; }

    /// <summary>What is wrong, what shows it, and what mends it, in a sentence or two; empty if nothing is.</summary>
    public string Finding { get; init; } = "";
}
