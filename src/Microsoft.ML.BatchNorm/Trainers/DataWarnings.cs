using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Training;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Warns where a network and its rows are likely not meant for each other.</summary>
static class DataWarnings
{
    /// <summary>
    /// Training by gradient suffers where a feature's root mean square is this many times greater or less than 1.
    /// </summary>
    const double FarFromOne = 30;

    const int SampledRows = 1000;

    /// <param name="channel">Is told.</param>
    /// <param name="network">The network that is trained.</param>
    /// <param name="rows">The rows that it is trained on.</param>
    /// <param name="givesLogits">Whether the trainer puts a softmax or sigmoid behind the network.</param>
    public static void Tell(IChannel channel, Network network, TrainingData rows, bool givesLogits)
    {
        NetworkNode? first = network.Nodes.FirstOrDefault(node => node.Layer is not FlattenLayer);
        if (first?.Layer is DenseLayer or Conv2DLayer)
            TellScale(channel, first, rows);
        NetworkNode? last = network.Nodes.Count > 0 ? network.Nodes[^1] : null;
        if (givesLogits && last?.Layer is ActivationLayer { Function: Activation.Sigmoid or Activation.Tanh })
        {
            channel.Warning(
                $"The network ends in {last.Layer.Kind} ('{last.Path}'), which bounds its outputs. The trainer takes " +
                "the values before the softmax or sigmoid, and applies that itself: leave the last layer out.");
        }
    }

    static void TellScale(IChannel channel, NetworkNode first, TrainingData rows)
    {
        int step = Math.Max(1, rows.Rows / SampledRows);
        int[] sample = [.. Enumerable.Range(0, (rows.Rows - 1) / step + 1).Select(index => index * step)];
        double[] squares = new double[rows.FeaturesPerRow];
        foreach (RowPart part in RowPart.Of(rows, sample))
        {
            for (int i = 0; i < part.Features.Length; i++)
                squares[i % squares.Length] += (double)part.Features[i] * part.Features[i];
        }
        double greatest = Math.Sqrt(squares.Max() / sample.Length);
        if (greatest is 0 or <= FarFromOne and >= 1 / FarFromOne)
            return;
        int at = Array.IndexOf(squares, squares.Max());
        channel.Warning(FormattableString.Invariant(
            $"The features are far from scale 1 (slot {at} has a root mean square of {greatest:G3}), and the network ")
            + $"begins with the kernel of '{first.Path}'. Begin it with BatchNormalization(), or normalize the "
            + "features.");
    }
}
