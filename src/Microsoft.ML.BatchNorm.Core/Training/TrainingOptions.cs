using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>How a network is trained. An immutable value, changed with <c>with { … }</c>.</summary>
public sealed record TrainingOptions
{
    /// <summary>What is made small. Default: softmax cross-entropy.</summary>
    public Loss Loss { get; init => field = NotNull(value); } = Loss.SoftmaxCrossEntropy;

    /// <summary>How gradients change parameters. Default: Adam with a learning rate of 0.001.</summary>
    public Optimizer Optimizer { get; init => field = NotNull(value); } = Optimizer.Adam();

    /// <summary>The factor of the learning rate, step by step. Default: constant.</summary>
    public LearningRateSchedule LearningRateSchedule { get; init => field = NotNull(value); } =
        LearningRateSchedule.Constant;

    /// <summary>How often the data is gone through. Default: 10.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Epochs { get; init => field = Check.Positive(value, nameof(Epochs)); } = 10;

    /// <summary>
    /// Rows in a step. The last, smaller batch counts as well; one of a single row is merged into the batch before it.
    /// A batch of 1 is an error where a batch normalization in training mode gets one value a channel: every output
    /// would be β. Default: 32.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int BatchSize { get; init => field = Check.Positive(value, nameof(BatchSize)); } = 32;

    /// <summary>
    /// Whether each epoch takes the rows in an order of its own. Up to 64 MB of rows are shuffled as a whole. Of more,
    /// wherever they are, blocks of some 256 KB of neighbouring rows are shuffled (one row where a row is larger), and
    /// then the rows of as many blocks at a time as make 64 MB. Default: true.
    /// </summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>
    /// Seeds the order of the rows, dropout, and the split of the validation rows: the same seed gives the same bits on
    /// any number of threads. Default: 0.
    /// </summary>
    public int Seed { get; init; }

    /// <summary>
    /// The greatest length that the gradient of all parameters together may have; a longer one is scaled down to it
    /// (Pascanu and others, 2013). Null for any. Default: null.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive and finite.</exception>
    public double? GradientClipNorm
    {
        get;
        init => field = value is { } norm ? Check.PositiveFinite(norm, nameof(GradientClipNorm)) : null;
    }

    /// <summary>
    /// A weight for the rows of each class, for <see cref="Loss.SoftmaxCrossEntropy"/> (one a class) and
    /// <see cref="Loss.BinaryCrossEntropy"/> with one output (two: for targets below and from 0.5); empty for none.
    /// They multiply the rows' own weights. Default: empty.
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
    /// The share of the rows, from 0 to below 1, that is kept for validation where no validation data is given; drawn
    /// with <see cref="Seed"/>. Default: 0.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not from 0 to below 1.</exception>
    public double ValidationSplit
    {
        get;
        init => field = value is >= 0 and < 1
            ? value
            : throw Check.OutOfRange(value, nameof(ValidationSplit), "at least 0 and below 1");
    }

    /// <summary>Ends the run early by the validation loss; null for not at all. Default: null.</summary>
    public EarlyStopping? EarlyStopping { get; init; }

    /// <summary>
    /// Whether, when training ends, the moving statistics of every batch normalization that moved are replaced by the
    /// exact ones of the training data under the final parameters, layer after layer. What epochs measure in inference
    /// mode is then measured with such statistics too, which takes one more pass over the training rows in each epoch
    /// that has something to measure. Default: false.
    /// </summary>
    public bool RecomputeStatistics { get; init; }

    /// <summary>
    /// Whether each epoch ends with the metric of the training rows in inference mode, for one more pass over them.
    /// Default: false.
    /// </summary>
    public bool EvaluateTrainingData { get; init; }

    /// <summary>
    /// Whether each epoch ends with the distance of every moving statistic from the exact one of the training rows, as
    /// a <see cref="StatisticsDistance"/> for each batch normalization whose statistics move: for what
    /// <see cref="RecomputeStatistics"/> takes, once per epoch. The parameters stay as they are without it. Default:
    /// false.
    /// </summary>
    public bool RecordStatistics { get; init; }

    /// <summary>
    /// Whether the engine trains on targets in another unit than the data's, as that of ML.NET's regression trainer
    /// does: its optimizer means nothing to another engine.
    /// </summary>
    [JsonInclude]
    internal bool StandardizesTargets { get; init; }

    /// <summary>
    /// A file that receives a <see cref="TrainingCheckpoint"/> at every epoch's end, or null for none. It is replaced
    /// as a whole: whoever reads it finds the old one or the new one, never a part. It is written on the thread that
    /// trains, and is there when that epoch's end is reported. Default: null.
    /// </summary>
    [JsonIgnore]
    public string? CheckpointPath { get; init; }

    static T NotNull<T>(T value) where T : class
    {
        ArgumentNullException.ThrowIfNull(value);
        return value;
    }
}
