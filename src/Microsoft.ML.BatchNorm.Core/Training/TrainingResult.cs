using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>What a finished run has learned, and its history. An immutable value.</summary>
public sealed class TrainingResult
{
    internal TrainingResult(TrainingCheckpoint checkpoint, NetworkState state, bool stoppedEarly, int bestEpoch)
    {
        Checkpoint = checkpoint;
        State = state;
        StoppedEarly = stoppedEarly;
        BestEpoch = bestEpoch;
    }

    /// <summary>The network with the switches that it was given with.</summary>
    public Network Network => Checkpoint.Network;

    /// <summary>
    /// The parameters after the run; with <see cref="EarlyStopping.RestoreBest"/> those of the best epoch.
    /// </summary>
    public NetworkState State { get; }

    /// <summary>The results of all epochs, in order.</summary>
    public ImmutableArray<EpochResult> History => Checkpoint.History;

    /// <summary>
    /// How far the moving statistics were from the exact ones, epoch by epoch and layer by layer; empty without
    /// <see cref="TrainingOptions.RecordStatistics"/>.
    /// </summary>
    public ImmutableArray<StatisticsDistance> StatisticsHistory => Checkpoint.StatisticsHistory;

    /// <summary>
    /// Whether <see cref="TrainingOptions.EarlyStopping"/> ended the run, or the last phase of a plan.
    /// </summary>
    public bool StoppedEarly { get; }

    /// <summary>
    /// The epoch, from 1, with the lowest validation loss in the last phase; the last epoch if there is no validation.
    /// </summary>
    public int BestEpoch { get; }

    /// <summary>How many rows there are to train on, of all ranks.</summary>
    public int TrainingRows { get; internal init; }

    /// <summary>How many rows there are to validate with, of all ranks; 0 for none.</summary>
    public int ValidationRows { get; internal init; }

    /// <summary>When the run ended.</summary>
    public DateTimeOffset Ended { get; internal init; }

    /// <summary>How long the run took, with its validation; if it was resumed, the time since then.</summary>
    public TimeSpan Duration { get; internal init; }

    /// <summary>Rows trained on per second, without validation; 0 if no epoch was trained.</summary>
    public double RowsPerSecond { get; internal init; }

    /// <summary>
    /// How many validation rows of each class <see cref="State"/> takes for which class, in the order of the classes,
    /// for <see cref="Loss.SoftmaxCrossEntropy"/> and for <see cref="Loss.BinaryCrossEntropy"/> on one output. Rows of
    /// weight 0 do not count; every other row counts once. Empty for other losses, without validation, and if the run
    /// was resumed from a checkpoint that lies behind the epoch of <see cref="State"/>.
    /// </summary>
    public ImmutableArray<ConfusionCount> Confusion { get; internal init; } = [];

    /// <summary>
    /// The targets of validation rows and what <see cref="State"/> predicts for them, for a regression on one output:
    /// all rows up to 2,000, and every n-th row of more. Empty for other losses, and where <see cref="Confusion"/>
    /// would be.
    /// </summary>
    public ImmutableArray<TargetPrediction> ValidationPredictions { get; internal init; } = [];

    /// <summary>
    /// The names of the classes, where ML.NET's trainers have found them in the label column; empty if there are none,
    /// and for a run of <see cref="NetworkTrainer"/>.
    /// </summary>
    public ImmutableArray<string> ClassNames { get; private set; } = [];

    /// <summary>
    /// The end of the run as a checkpoint: the last epoch's parameters and optimizer, the best epoch's parameters, and
    /// the history. <see cref="TrainingCheckpoint.WithEpochs"/> lets the run go on from there.
    /// </summary>
    public TrainingCheckpoint Checkpoint { get; }

    /// <summary>This result with names for its classes.</summary>
    internal TrainingResult WithClassNames(ImmutableArray<string> names)
    {
        var named = (TrainingResult)MemberwiseClone();
        named.ClassNames = names;
        return named;
    }

    /// <summary>Writes <see cref="Checkpoint"/>.</summary>
    /// <inheritdoc cref="TrainingCheckpoint.Save"/>
    public void SaveCheckpoint(Stream stream) => Checkpoint.Save(stream);
}

/// <summary>The results of one epoch. An immutable value.</summary>
[JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
public sealed record EpochResult
{
    /// <summary>The name of the phase of a <see cref="FineTuningPlan"/>; empty without a plan.</summary>
    public string Phase { get; init; } = "";

    /// <summary>The epoch in its phase, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>The loss with its penalties, averaged over the epoch's rows, in training mode.</summary>
    public required double Loss { get; init; }

    /// <summary>
    /// The loss on the validation rows in inference mode, without penalties; null if there is no validation.
    /// </summary>
    public double? ValidationLoss { get; init; }

    /// <summary>
    /// The metric on the training rows in inference mode; null without
    /// <see cref="TrainingOptions.EvaluateTrainingData"/>. For <see cref="Loss.SoftmaxCrossEntropy"/> and
    /// <see cref="Loss.BinaryCrossEntropy"/> it is the accuracy, from 0 to 1. With softmax, a row's class is the first
    /// of its greatest outputs; with the binary loss, each output counts, and it is right if it is above 0 and its
    /// target at least 0.5, or neither. For other losses it is the mean absolute error, in the targets' unit. Rows
    /// count by their own weights.
    /// </summary>
    public double? Metric { get; init; }

    /// <summary>The metric on the validation rows; null if there is no validation.</summary>
    public double? ValidationMetric { get; init; }

    /// <summary>The learning rate of the epoch's last step.</summary>
    public required double LearningRate { get; init; }
}

/// <summary>A run was canceled between two steps. Nothing that it had learned is lost.</summary>
public sealed class TrainingCanceledException : OperationCanceledException
{
    /// <summary>The exception of a run.</summary>
    /// <param name="checkpoint">Where the run stands.</param>
    /// <param name="cancellationToken">The token that was canceled.</param>
    public TrainingCanceledException(TrainingCheckpoint checkpoint, CancellationToken cancellationToken)
        : base(Text(checkpoint), cancellationToken) => Checkpoint = checkpoint;

    /// <summary>What the network had learned when the run was canceled.</summary>
    public NetworkState State => Checkpoint.State;

    /// <summary>Where the run stands; <see cref="NetworkTrainer.Resume"/> continues it from there.</summary>
    public TrainingCheckpoint Checkpoint { get; }

    static string Text(TrainingCheckpoint checkpoint)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        string phase = checkpoint.Phase.Length == 0 ? "" : $" of phase '{checkpoint.Phase}'";
        return $"Training was canceled in epoch {checkpoint.Epoch}{phase}, after {checkpoint.Step} of its steps.";
    }
}
