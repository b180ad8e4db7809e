using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>How a network is trained. An immutable value, changed with <c>with { … }</c>.</summary>
public sealed record TrainingOptions
{
    /// <summary>What is minimized. Default: softmax cross-entropy.</summary>
    public Loss Loss { get; init => field = Check.NotNull(value); } = Loss.SoftmaxCrossEntropy;

    /// <summary>How gradients change parameters. Default: Adam with a learning rate of 0.001.</summary>
    public Optimizer Optimizer { get; init => field = Check.NotNull(value); } = Optimizer.Adam();

    /// <summary>The factor by which the learning rate is multiplied at each step. Default: constant.</summary>
    public LearningRateSchedule LearningRateSchedule { get; init => field = Check.NotNull(value); } =
        LearningRateSchedule.Constant;

    /// <summary>How many times the run goes through the data. Default: 10.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Epochs { get; init => field = Check.Positive(value, nameof(Epochs)); } = 10;

    /// <summary>
    /// Rows in a step. A last, smaller batch is trained on too; if it is a single row, it is merged into the batch
    /// before it. A batch of 1 is an error if a batch normalization in training mode gets one value per channel: every
    /// output would be β. Default: 32.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int BatchSize { get; init => field = Check.Positive(value, nameof(BatchSize)); } = 32;

    /// <summary>
    /// Whether each epoch takes the rows in an order of its own. Up to 64 MB of rows are shuffled as a whole. More
    /// rows, in memory or not, are shuffled in two stages: first blocks of about 256 KB of neighbouring rows (or of one
    /// row, if a row is larger), then the rows of 64 MB of blocks at a time. Default: true.
    /// </summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>
    /// The seed of the rows' order, of dropout and of the validation split. The same seed gives the same bits on any
    /// number of threads. Default: 0.
    /// </summary>
    public int Seed { get; init; }

    /// <summary>
    /// The greatest norm of the gradient of all parameters together; a longer gradient is scaled down to it (Pascanu
    /// and others, 2013). Null for no limit. Default: null.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive and finite.</exception>
    public double? GradientClipNorm
    {
        get;
        init => field = value is { } norm ? Check.PositiveFinite(norm, nameof(GradientClipNorm)) : null;
    }

    /// <summary>
    /// A weight for the rows of each class, which multiplies the rows' own weights: one per class for
    /// <see cref="Loss.SoftmaxCrossEntropy"/>, two (for targets below 0.5 and from 0.5) for
    /// <see cref="Loss.BinaryCrossEntropy"/> with one output. Empty for none. Default: empty.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is negative or not finite.</exception>
    public ImmutableArray<double> ClassWeights
    {
        get;
        init => field = value.IsDefault
            ? []
            : [.. value.Select(weight => Check.NotNegative(weight, nameof(ClassWeights)))];
    } = [];

    /// <summary>
    /// The share of the rows, from 0 to below 1, that is drawn with <see cref="Seed"/> and kept for validation if no
    /// validation data is given. Default: 0.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not from 0 to below 1.</exception>
    public double ValidationSplit
    {
        get;
        init => field = value is >= 0 and < 1
            ? value
            : throw Check.OutOfRange(value, nameof(ValidationSplit), "at least 0 and below 1");
    }

    /// <summary>Whether the validation loss may end the run early; null for never. Default: null.</summary>
    public EarlyStopping? EarlyStopping { get; init; }

    /// <summary>
    /// Whether, when training ends, the moving statistics of every batch normalization that moved are replaced by the
    /// exact ones of the training data under the final parameters, layer after layer. What epochs measure in inference
    /// mode is then measured with exact statistics too, which takes one more pass over the training rows in each epoch
    /// that measures anything. Default: false.
    /// </summary>
    public bool RecomputeStatistics { get; init; }

    /// <summary>
    /// Whether each epoch measures the metric of the training rows in inference mode, which takes one more pass over
    /// them. Default: false.
    /// </summary>
    public bool EvaluateTrainingData { get; init; }

    /// <summary>
    /// Whether each epoch measures how far every moving statistic is from the exact one of the training rows, as a
    /// <see cref="StatisticsDistance"/> per batch normalization whose statistics move. This takes as long as
    /// <see cref="RecomputeStatistics"/>, once per epoch, and does not change what is learned. Default: false.
    /// </summary>
    public bool RecordStatistics { get; init; }

    /// <summary>
    /// Whether the engine trains on standardized targets, as ML.NET's regression trainer does. The optimizer's state of
    /// such a run means nothing to another engine.
    /// </summary>
    [JsonInclude]
    internal bool StandardizesTargets { get; init; }

    /// <summary>
    /// A file that receives a <see cref="TrainingCheckpoint"/> at the end of each epoch, or null for none. It is
    /// replaced as a whole: a reader finds the old checkpoint or the new one, never a part. The training thread writes
    /// it before it reports the end of the epoch. Default: null.
    /// </summary>
    [JsonIgnore]
    public string? CheckpointPath { get; init; }

    /// <summary>The weight of a row by the class that is its target; 1 if there are no class weights.</summary>
    internal double ClassWeight(float target) => ClassWeights.IsEmpty
        ? 1
        : ClassWeights[Loss is SoftmaxCrossEntropyLoss ? (int)target : target >= 0.5f ? 1 : 0];

    /// <exception cref="ArgumentException">There are class weights, and they do not fit loss and outputs.</exception>
    internal static void CheckClassWeights(TrainingOptions options, int outputs)
    {
        if (options.ClassWeights.IsEmpty)
            return;
        int needed = options.Loss switch
        {
            SoftmaxCrossEntropyLoss => outputs,
            BinaryCrossEntropyLoss when outputs == 1 => 2,
            _ => throw new ArgumentException(
                $"ClassWeights go with SoftmaxCrossEntropy, and with BinaryCrossEntropy on one output, not with "
                + $"{options.Loss.GetType().Name} on {outputs}.", nameof(options)),
        };
        if (options.ClassWeights.Length != needed)
            throw new ArgumentException(
                $"There are {options.ClassWeights.Length} ClassWeights; {needed} are needed.", nameof(options));
    }
}

/// <summary>
/// Ends a run when the validation loss no longer falls, as Keras's callback of that name does. An immutable value.
/// </summary>
public sealed record EarlyStopping
{
    /// <summary>How many epochs without improvement end the run. Default: 5.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Patience { get; init => field = Check.Positive(value, nameof(Patience)); } = 5;

    /// <summary>By how much the loss must fall to count as improvement; at least 0. Default: 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double MinimumImprovement { get; init => field = Check.NotNegative(value, nameof(MinimumImprovement)); }

    /// <summary>
    /// Whether the run ends with the parameters of its best epoch, not of its last. Default: true.
    /// </summary>
    public bool RestoreBest { get; init; } = true;
}
