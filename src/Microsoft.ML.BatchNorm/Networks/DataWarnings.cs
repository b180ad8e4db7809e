using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

/// <summary>Warns if a network and its rows probably do not fit each other.</summary>
static class DataWarnings
{
    /// <summary>
    /// Gradient descent suffers if a feature's root mean square is this many times greater or less than 1.
    /// </summary>
    const double FarFromOne = 30;

    /// <summary>A feature that deviates by less than this share of its value is constant apart from rounding.</summary>
    const double LeastShare = 1e-6;

    const int SampledRows = 1000;

    /// <param name="channel">Receives the warnings.</param>
    /// <param name="network">The network that is trained.</param>
    /// <param name="rows">The rows that it is trained on.</param>
    /// <param name="givesLogits">Whether the trainer applies a softmax or sigmoid to the network's outputs.</param>
    public static void Warn(IChannel channel, Network network, TrainingData rows, bool givesLogits)
    {
        NetworkNode? first = network.FeatureReaders.FirstOrDefault(
            node => node.Layer is DenseLayer or Conv2DLayer or BatchNormalizationLayer);
        if (first?.Layer is DenseLayer or Conv2DLayer)
            WarnOfScale(channel, first, rows);
        else if (first is { Layer: BatchNormalizationLayer { Options: var options }, Input.Rank: 1 })
            WarnOfEpsilon(channel, first, Math.Sqrt(options.EffectiveEpsilon), rows);
        NetworkNode? last = network.Nodes.Count > 0 ? network.Nodes[^1] : null;
        if (givesLogits && last?.Layer is ActivationLayer
            {
                Function: Activation.Sigmoid or Activation.Tanh or Activation.HardSigmoid or Activation.ReLU6
                    or Activation.ReLU,
            })
        {
            channel.Warning(
                $"The network ends in {last.Layer.Kind} ('{last.Path}'), which bounds its outputs. The trainer takes " +
                "the values before the softmax or sigmoid, and applies that itself: leave the last layer out.");
        }
    }

    static void WarnOfScale(IChannel channel, NetworkNode first, TrainingData rows)
    {
        double[] scales = Deviations(rows, new double[rows.FeaturesPerRow]);
        double greatest = scales.Max();
        if (greatest is 0 or <= FarFromOne and >= 1 / FarFromOne)
            return;
        int at = Array.IndexOf(scales, greatest);
        channel.Warning(FormattableString.Invariant(
            $"The features are far from scale 1 (slot {at} has a root mean square of {greatest:G3}), and the network ")
            + $"begins with the kernel of '{first.Path}'. Begin it with BatchNormalization(), or normalize the "
            + "features.");
    }

    /// <summary>The first batch normalization turns a feature that is small beside √ε into almost a constant.</summary>
    static void WarnOfEpsilon(IChannel channel, NetworkNode first, double epsilonRoot, TrainingData rows)
    {
        double[] means = new double[rows.FeaturesPerRow];
        int[] sample = Sample(rows);
        foreach (RowPart part in RowPart.Of(rows, sample))
        {
            for (int i = 0; i < part.Features.Length; i++)
                means[i % means.Length] += (double)part.Features[i] / sample.Length;
        }
        double[] deviations = Deviations(rows, means);
        int[] small = [.. Enumerable.Range(0, means.Length).Where(slot =>
            deviations[slot] > LeastShare * Math.Abs(means[slot]) && deviations[slot] < epsilonRoot / FarFromOne)];
        if (small.Length == 0)
            return;
        channel.Warning(FormattableString.Invariant(
            $"{small.Length} of {means.Length} features are small beside the ε of '{first.Path}' (slot {small[0]} has ")
            + FormattableString.Invariant($"a deviation of {deviations[small[0]]:G3}, √ε is {epsilonRoot:G3}), and ")
            + "hardly count behind it. Normalize the features with Transforms.BatchNormalization, or give that layer a "
            + "smaller Epsilon.");
    }

    /// <summary>The root mean square of each feature's difference from a center, over a sample of the rows.</summary>
    static double[] Deviations(TrainingData rows, double[] centers)
    {
        int[] sample = Sample(rows);
        double[] squares = new double[centers.Length];
        foreach (RowPart part in RowPart.Of(rows, sample))
        {
            for (int i = 0; i < part.Features.Length; i++)
            {
                double difference = part.Features[i] - centers[i % centers.Length];
                squares[i % centers.Length] += difference * difference;
            }
        }
        return Array.ConvertAll(squares, square => Math.Sqrt(square / sample.Length));
    }

    static int[] Sample(TrainingData rows)
    {
        int step = Math.Max(1, rows.Rows / SampledRows);
        return [.. Enumerable.Range(0, (rows.Rows - 1) / step + 1).Select(index => index * step)];
    }
}
