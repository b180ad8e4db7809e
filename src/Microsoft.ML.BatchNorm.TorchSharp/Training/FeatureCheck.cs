using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>
/// Finds features that are not finite. All of the data is looked at once, on the host; only where it has one are the
/// rows of each batch.
/// </summary>
sealed class FeatureCheck
{
    readonly TrainingData data;
    readonly bool ignores, isClean;

    public FeatureCheck(Network network, TrainingData data)
    {
        this.data = data;
        ignores = network.Nodes.FirstOrDefault(node => node.Layer is not FlattenLayer)?.Layer
            is BatchNormalizationLayer { Options.NonFinite: NonFinite.Ignore };
        isClean = ignores || AreFinite(data.Features.Span);
    }

    /// <exception cref="InvalidDataException">A feature of a row is not finite.</exception>
    public void Check(ReadOnlySpan<int> rows)
    {
        if (isClean)
            return;
        foreach (int row in rows)
            Check(data.Features.Span.Slice(row * data.FeaturesPerRow, data.FeaturesPerRow), row);
    }

    /// <inheritdoc cref="Check(ReadOnlySpan{int})"/>
    public void Check(ReadOnlySpan<float> features)
    {
        if (ignores || AreFinite(features))
            return;
        for (int row = 0; row * data.FeaturesPerRow < features.Length; row++)
            Check(features.Slice(row * data.FeaturesPerRow, data.FeaturesPerRow), row);
    }

    static void Check(ReadOnlySpan<float> features, int row)
    {
        int slot = FirstNonFinite(features);
        if (slot >= 0)
            throw new InvalidDataException(FormattableString.Invariant(
                $"A feature is not finite: row {row}, slot {slot} has {features[slot]}. ")
                + "Replace it, or begin the network with a batch normalization of NonFinite.Ignore.");
    }

    static bool AreFinite(ReadOnlySpan<float> values)
    {
        for (; values.Length >= Vector512<float>.Count; values = values[Vector512<float>.Count..])
        {
            if (!Lanes.AreFinite(Vector512.Create(values)))
                return false;
        }
        return FirstNonFinite(values) < 0;
    }

    static int FirstNonFinite(ReadOnlySpan<float> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                return i;
        }
        return -1;
    }
}
