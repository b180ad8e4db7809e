namespace Microsoft.ML.Transforms;

/// <summary>Which rows of a batch the mask column shows; without one, nothing, which the core takes for all.</summary>
sealed class TrainingMask
{
    readonly ValueGetter<bool>? getter;
    readonly bool[] shown;

    /// <param name="row">The cursor that is read.</param>
    /// <param name="column">One of its columns, or null to show every row.</param>
    /// <param name="batchSize">Rows in a batch; two more may be held.</param>
    public TrainingMask(DataViewRow row, DataViewSchema.Column? column, int batchSize)
    {
        getter = column is { } mask ? row.GetGetter<bool>(mask) : null;
        shown = getter is null ? [] : new bool[batchSize + 2];
    }

    /// <summary>Moves rows that were read for the next batch to its start.</summary>
    public void KeepFrom(int row, int rows)
    {
        if (getter is not null)
            shown.AsSpan(row, rows).CopyTo(shown);
    }

    /// <summary>Copies the cursor's row to one of the batch.</summary>
    public void Read(int row) => getter?.Invoke(ref shown[row]);

    /// <summary>One entry a row, or empty.</summary>
    public ReadOnlySpan<bool> Of(int rows) => getter is null ? default : shown.AsSpan(0, rows);
}
