using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>What one cursor of a pass samples.</summary>
sealed class PassSamples(DriftCheck check, DataViewRowCursor cursor)
{
    readonly List<RowSample> samples = [];

    /// <summary>Begins to sample a column.</summary>
    public RowSample Add(
        DataViewRow row, DataViewSchema.Column input, BatchNormalizationColumn column, ChannelLayout layout)
    {
        RowSample sample = check.Sample(row, input, column, layout);
        samples.Add(sample);
        return sample;
    }

    /// <summary>Hands them over where the cursor stands behind its last row; before that, it was broken off.</summary>
    public void Complete()
    {
        if (cursor.Position < 0)
            check.Complete(samples);
        else
            samples.ForEach(sample => sample.Release());
    }
}
