namespace Microsoft.ML.BatchNorm;

/// <summary>What a trained network comes to on rows, in inference mode. An immutable value.</summary>
/// <param name="Loss">
/// The loss without penalties, averaged over the rows by their weights; NaN where none weighs.
/// </param>
/// <param name="Metric">As <see cref="EpochResult.Metric"/> has it: the accuracy, or the mean absolute error.</param>
public sealed record EvaluationResult(double Loss, double Metric);
