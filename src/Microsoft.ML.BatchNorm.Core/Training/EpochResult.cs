using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>What one epoch came to. An immutable value.</summary>
[JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
public sealed record EpochResult
{
    /// <summary>The phase's name of a <see cref="FineTuningPlan"/>; empty without a plan.</summary>
    public string Phase { get; init; } = "";

    /// <summary>The epoch in its phase, from 1.</summary>
    public required int Epoch { get; init; }

    /// <summary>The loss with its penalties, averaged over the epoch's rows, in training mode.</summary>
    public required double Loss { get; init; }

    /// <summary>
    /// The loss on the validation rows in inference mode, without penalties; null where nothing is validated.
    /// </summary>
    public double? ValidationLoss { get; init; }

    /// <summary>
    /// The metric on the training rows in inference mode; null without
    /// <see cref="TrainingOptions.EvaluateTrainingData"/>. It is the accuracy, from 0 to 1, for
    /// <see cref="Loss.SoftmaxCrossEntropy"/> (the first greatest output is the row's class) and
    /// <see cref="Loss.BinaryCrossEntropy"/> (an output above 0 stands for targets from 0.5, each output counts); for
    /// other losses the mean absolute error, in the targets' unit. Rows count by their own weights.
    /// </summary>
    public double? Metric { get; init; }

    /// <summary>The same on the validation rows; null where nothing is validated.</summary>
    public double? ValidationMetric { get; init; }

    /// <summary>The learning rate of the epoch's last step.</summary>
    public required double LearningRate { get; init; }
}
