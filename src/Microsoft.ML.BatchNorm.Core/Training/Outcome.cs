using System.Collections.Immutable;
using System.Runtime.InteropServices;

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
/// <param name="loss">The loss, which says whether the rows have classes.</param>
/// <param name="outputs">The outputs of the network.</param>
/// <param name="rows">The validation rows, of all ranks.</param>
sealed class Outcome(Loss loss, int outputs, int rows)
{
    const int MostPredictions = 2_000;

    readonly Dictionary<(int Actual, int Predicted), int> confusion = [];
    readonly List<TargetPrediction> predictions = [];
    readonly int stride = (rows + MostPredictions - 1) / MostPredictions;
    int seen;

    public void Add(ReadOnlySpan<float> output, ReadOnlySpan<float> target)
    {
        if (loss is SoftmaxCrossEntropyLoss)
            Count((int)target[0], RowLoss.FirstGreatest(output), 1);
        else if (outputs > 1)
            return;
        else if (loss is BinaryCrossEntropyLoss)
            Count(target[0] >= 0.5f ? 1 : 0, output[0] > 0 ? 1 : 0, 1);
        else if (seen++ % stride == 0)
            predictions.Add(new TargetPrediction(target[0], output[0]));
    }

    /// <summary>What all ranks have collected, in the order of the ranks.</summary>
    /// <param name="ranks">The ranks; null for one. Several exchange four messages.</param>
    public (ImmutableArray<ConfusionCount> Confusion, ImmutableArray<TargetPrediction> Predictions) OfAll(
        ICollective? ranks)
    {
        ConfusionCount[] counts =
            [.. confusion.Select(pair => new ConfusionCount(pair.Key.Actual, pair.Key.Predicted, pair.Value))];
        TargetPrediction[] pairs = [.. predictions];
        if (ranks is not null)
        {
            (counts, pairs) = (Gathered(ranks, counts), Gathered(ranks, pairs));
            confusion.Clear();
            foreach (ConfusionCount one in counts)
                Count(one.Actual, one.Predicted, one.Rows);
            counts = [.. confusion.Select(pair => new ConfusionCount(pair.Key.Actual, pair.Key.Predicted, pair.Value))];
        }
        return ([.. counts.OrderBy(one => (one.Actual, one.Predicted))], [.. pairs]);
    }

    static T[] Gathered<T>(ICollective ranks, T[] mine) where T : unmanaged
    {
        int[] lengths = ranks.Gather(mine.Length);
        int most = lengths.Max();
        var all = new T[most * ranks.Size];
        Array.Resize(ref mine, most);
        ranks.Gather(MemoryMarshal.AsBytes<T>(mine), MemoryMarshal.AsBytes(all.AsSpan()));
        return [.. lengths.SelectMany((length, rank) => all.Skip(rank * most).Take(length))];
    }

    void Count(int actual, int predicted, int more) =>
        confusion[(actual, predicted)] = confusion.GetValueOrDefault((actual, predicted)) + more;
}
