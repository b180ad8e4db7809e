namespace Microsoft.ML.BatchNorm.TorchSharp;

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
        ignores = network.IgnoresNonFinite;
        isClean = ignores || (data.Inspection?.AreFinite ?? Finite.All(data.Features.Span));
    }

    /// <exception cref="InvalidDataException">A feature of a row is not finite.</exception>
    public void Check(IReadOnlyCollection<int> rows)
    {
        if (isClean)
            return;
        foreach (RowPart part in RowPart.Of(data, rows))
        {
            for (int i = 0; i < part.Rows.Length; i++)
                Check(part.Features.Slice(i * data.FeaturesPerRow, data.FeaturesPerRow), part.Rows[i]);
        }
    }

    /// <inheritdoc cref="Check(IReadOnlyCollection{int})"/>
    public void Check(ReadOnlySpan<float> features)
    {
        if (ignores || Finite.All(features))
            return;
        for (int row = 0; row * data.FeaturesPerRow < features.Length; row++)
            Check(features.Slice(row * data.FeaturesPerRow, data.FeaturesPerRow), row);
    }

    static void Check(ReadOnlySpan<float> features, int row)
    {
        int slot = Finite.IndexOf(features);
        if (slot >= 0)
            throw new InvalidDataException(FormattableString.Invariant(
                $"A feature is not finite: row {row}, slot {slot} has {features[slot]}. ")
                + "Replace it, or begin the network with a batch normalization of NonFinite.Ignore.");
    }
}
