namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How far a run is, reported at most about ten times a second and at the end of every epoch. An immutable value.
/// </summary>
/// <remarks>
/// The thread that trains makes the reports, and waits until <see cref="IProgress{T}.Report"/> returns. They come one
/// after the other, and none comes after the run has ended. <see cref="Progress{T}"/> posts each report to the context
/// that it was made in, or to the thread pool, where reports may come late and out of order; your own class gets them
/// at once.
/// </remarks>
public sealed record TrainingProgress
{
    /// <summary>The name of the phase of a <see cref="FineTuningPlan"/>; empty without a plan.</summary>
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
    /// The loss on the validation rows in inference mode, without penalties; null within an epoch, and if there is no
    /// validation.
    /// </summary>
    public double? ValidationLoss { get; init; }

    /// <summary>
    /// The metric (see <see cref="EpochResult.Metric"/>) on the training rows in inference mode; null within an epoch,
    /// and without <see cref="TrainingOptions.EvaluateTrainingData"/>.
    /// </summary>
    public double? Metric { get; init; }

    /// <summary>The metric on the validation rows; null within an epoch, and if there is no validation.</summary>
    public double? ValidationMetric { get; init; }

    /// <summary>
    /// Rows trained on per second, over the epoch so far; if that took less than 0.2 s, also over as many epochs of the
    /// phase before it as make up 0.2 s. Validation does not count, and the first step of a phase only where an epoch has
    /// no other, since its code is compiled.
    /// </summary>
    public required double RowsPerSecond { get; init; }

    /// <summary>The learning rate of the last step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Whether the epoch is over, validation included.</summary>
    public bool IsEndOfEpoch { get; init; }
}
