namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How far a run is: reported some ten times a second at most, and at every epoch's end. An immutable value.
/// </summary>
/// <remarks>
/// Reports are made on the thread that trains, which waits until <see cref="IProgress{T}.Report"/> returns: one after
/// the other, none left when the run has ended. <see cref="Progress{T}"/> posts each to the context that it was made
/// in, or to the thread pool, where they may come late and out of order; a class of one's own sees them as they are
/// made.
/// </remarks>
public sealed record TrainingProgress
{
    /// <summary>The phase's name of a <see cref="FineTuningPlan"/>; empty without a plan.</summary>
    public string Phase { get; init; } = "";

    /// <summary>The epoch in its phase, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>The epochs of the phase.</summary>
    public required int Epochs { get; init; }

    /// <summary>The steps taken in this epoch.</summary>
    public required long Step { get; init; }

    /// <summary>The steps of an epoch.</summary>
    public required long StepsPerEpoch { get; init; }

    /// <summary>The loss with its penalties, averaged over the epoch's rows so far, in training mode.</summary>
    public required double Loss { get; init; }

    /// <summary>
    /// The loss on the validation rows in inference mode, without penalties; null within an epoch, and where nothing is
    /// validated.
    /// </summary>
    public double? ValidationLoss { get; init; }

    /// <summary>
    /// The metric (see <see cref="EpochResult.Metric"/>) on the training rows in inference mode; null within an epoch,
    /// and without <see cref="TrainingOptions.EvaluateTrainingData"/>.
    /// </summary>
    public double? Metric { get; init; }

    /// <summary>The metric on the validation rows; null within an epoch, and where nothing is validated.</summary>
    public double? ValidationMetric { get; init; }

    /// <summary>
    /// Rows trained on in a second, over the epoch so far; where that is less than 0.2 s, over as many epochs of the
    /// phase before it as make them up. Validation does not count.
    /// </summary>
    public required double RowsPerSecond { get; init; }

    /// <summary>The learning rate of the last step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Whether the epoch is over, validation included.</summary>
    public bool IsEndOfEpoch { get; init; }
}
