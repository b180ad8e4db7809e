using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Two cursors over the same rows: one reads a batch ahead and normalizes it, the other follows row by row with all
/// that is not normalized.
/// </summary>
sealed class TrainingCursor(
    IExceptionContext host, DataViewRowCursor rows, DataViewRowCursor ahead, TrainingColumn[] columns,
    TrainingMask mask, int batchSize)
    : DataViewRowCursor
{
    /// <summary>The row in the batch, and the rows of the batch; one more may have been read already.</summary>
    int current = -1, count, read;

    /// <summary>The position of the batch's first row.</summary>
    long position;

    public override long Position => rows.Position;

    public override long Batch => rows.Batch;

    public override DataViewSchema Schema => rows.Schema;

    public override ValueGetter<DataViewRowId> GetIdGetter() => rows.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) =>
        Find(column) is not null || rows.IsColumnActive(column);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (Find(column) is not { } normalized)
            return rows.GetGetter<TValue>(column);
        return normalized.Getter(() => Current) as ValueGetter<TValue>
            ?? throw host.Except($"Column '{column.Name}' has the type {column.Type}, not {typeof(TValue)}.");
    }

    public override bool MoveNext()
    {
        if (!rows.MoveNext())
        {
            current = -1;
            return false;
        }
        if (++current == count)
            ReadBatch();
        return true;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            ahead.Dispose();
            rows.Dispose();
        }
        base.Dispose(disposing);
    }

    TrainingColumn? Find(DataViewSchema.Column output) =>
        Array.Find(columns, candidate => candidate.Output.Index == output.Index);

    int Current => current >= 0 && rows.Position >= 0
        ? current
        : throw host.Except("The cursor stands on no row.");

    void ReadBatch()
    {
        int first = read - count;
        position += count;
        foreach (TrainingColumn column in columns)
            column.KeepFrom(count, first);
        mask.KeepFrom(count, first);
        read = first;
        while (read <= batchSize && ahead.MoveNext())
            ReadRow();
        // With one row behind a full batch it is not known yet whether that row is the last.
        count = read <= batchSize ? read : ahead.MoveNext() ? Split() : read;
        host.Check(count > 0, "The data has fewer rows at its second reading.");
        foreach (TrainingColumn column in columns)
            column.Normalize(count, mask.Of(count), position);
        current = 0;
    }

    /// <summary>Takes the row behind the one that is held over, and ends the batch before both.</summary>
    int Split()
    {
        ReadRow();
        return batchSize;
    }

    void ReadRow()
    {
        foreach (TrainingColumn column in columns)
            column.Read(read);
        mask.Read(read);
        read++;
    }
}
