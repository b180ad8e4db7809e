using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>How many validation rows of a class a network takes for a class. An immutable value.</summary>
/// <param name="Actual">The row's class; for <see cref="Loss.BinaryCrossEntropy"/> 0 or 1.</param>
/// <param name="Predicted">The class that the network predicts.</param>
/// <param name="Rows">The number of such rows, at least 1.</param>
public readonly record struct ConfusionCount(int Actual, int Predicted, int Rows);

/// <summary>The target of a validation row and what a network predicts for it. An immutable value.</summary>
/// <param name="Target">The target, in its unit.</param>
/// <param name="Prediction">The prediction, in the same unit.</param>
public readonly record struct TargetPrediction(float Target, float Prediction);

/// <summary>Collects what is predicted for the validation rows while they are measured.</summary>
sealed class Outcome(Loss loss, int outputs, int rows)
{
    const int MostPredictions = 2_000;

    readonly Dictionary<(int Actual, int Predicted), int> confusion = [];
    readonly List<TargetPrediction> predictions = [];
    readonly int stride = (rows + MostPredictions - 1) / MostPredictions;
    int seen;

    public ImmutableArray<ConfusionCount> Confusion =>
    [
        .. confusion.OrderBy(pair => pair.Key).Select(
            pair => new ConfusionCount(pair.Key.Actual, pair.Key.Predicted, pair.Value)),
    ];

    public ImmutableArray<TargetPrediction> Predictions => [.. predictions];

    public void Add(ReadOnlySpan<float> output, ReadOnlySpan<float> target)
    {
        if (loss is SoftmaxCrossEntropyLoss)
            Count((int)target[0], RowLoss.FirstGreatest(output));
        else if (outputs > 1)
            return;
        else if (loss is BinaryCrossEntropyLoss)
            Count(target[0] >= 0.5f ? 1 : 0, output[0] > 0 ? 1 : 0);
        else if (seen++ % stride == 0)
            predictions.Add(new TargetPrediction(target[0], output[0]));
    }

    void Count(int actual, int predicted) =>
        confusion[(actual, predicted)] = confusion.GetValueOrDefault((actual, predicted)) + 1;
}
