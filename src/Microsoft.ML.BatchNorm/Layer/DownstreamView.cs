using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The data that estimators down a chain are trained on with <see cref="DownstreamStatistics.Batch"/>: the normalized
/// columns are those of training mode. Each batch of consecutive rows is normalized with its own statistics, and nothing
/// moves. The rows come in one order, that of the batches.
/// </summary>
/// <param name="host">Reports errors.</param>
/// <param name="input">The view that is normalized.</param>
/// <param name="transformed">The view normalized with the moving statistics; it has the schema and all other columns.</param>
/// <param name="columns">The normalized columns.</param>
/// <param name="batchSize">The number of rows in a batch; a last batch of one row is joined to the batch before it.</param>
/// <param name="mask">
/// The column of <paramref name="input"/> that hides rows from their batch's statistics, or null to count all. Hidden
/// rows are normalized too; a batch in which all rows are hidden uses the moving statistics.
/// </param>
sealed class DownstreamView(
    IHost host, IDataView input, IDataView transformed, BatchNormalizationColumn[] columns, int batchSize,
    DataViewSchema.Column? mask) : IDataView
{
    public bool CanShuffle => false;

    public DataViewSchema Schema => transformed.Schema;

    public long? GetRowCount() => transformed.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        host.CheckValue(columnsNeeded, nameof(columnsNeeded));
        DataViewSchema.Column[] needed = [.. columnsNeeded];
        BatchNormalizationColumn[] normalized =
            [.. columns.Where(column => needed.Any(other => other.Index == Schema[column.OutputColumnName].Index))];
        // Columns that are normalized here need not be normalized with the moving statistics too.
        DataViewRowCursor rows = transformed.GetRowCursor(
            needed.Where(column => !normalized.Any(other => Schema[other.OutputColumnName].Index == column.Index)));
        if (normalized.Length == 0)
            return rows;

        DataViewRowCursor? ahead = null;
        try
        {
            IEnumerable<DataViewSchema.Column> read = normalized.Select(column => input.Schema[column.InputColumnName]);
            ahead = input.GetRowCursor((mask is { } column ? read.Append(column) : read).Distinct());
            DownstreamColumn[] batches =
                [.. normalized.Select(column => DownstreamColumn.Of(host, column, Schema, ahead, batchSize))];
            return new DownstreamCursor(host, rows, ahead, batches, new BatchMask(ahead, mask, batchSize), batchSize);
        }
        catch
        {
            ahead?.Dispose();
            rows.Dispose();
            throw;
        }
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];
}

/// <summary>
/// Reads the same rows with two cursors: one reads a batch ahead to normalize it, the other one follows row by row with
/// all columns that are not normalized.
/// </summary>
sealed class DownstreamCursor(
    IExceptionContext host, DataViewRowCursor rows, DataViewRowCursor ahead, DownstreamColumn[] columns,
    BatchMask mask, int batchSize)
    : DataViewRowCursor
{
    /// <summary>
    /// The current row of the batch, the number of its rows, and the number of rows that have been read, up to two of
    /// which belong to the next batch.
    /// </summary>
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

    DownstreamColumn? Find(DataViewSchema.Column output) =>
        Array.Find(columns, candidate => candidate.Output.Index == output.Index);

    int Current => current >= 0 && rows.Position >= 0
        ? current
        : throw host.Except("The cursor stands on no row.");

    void ReadBatch()
    {
        int first = read - count;
        position += count;
        foreach (DownstreamColumn column in columns)
            column.KeepFrom(count, first);
        mask.KeepFrom(count, first);
        read = first;
        while (read <= batchSize && ahead.MoveNext())
            ReadRow();
        // A full batch and one row are read. If there is another row, that one row is not the last.
        count = read <= batchSize ? read : ahead.MoveNext() ? Split() : read;
        host.Check(count > 0, "The data has fewer rows at its second reading.");
        foreach (DownstreamColumn column in columns)
            column.Normalize(count, mask.Of(count), position);
        current = 0;
    }

    /// <summary>Reads that other row; the batch ends before both of them.</summary>
    int Split()
    {
        ReadRow();
        return batchSize;
    }

    void ReadRow()
    {
        foreach (DownstreamColumn column in columns)
            column.Read(read);
        mask.Read(read);
        read++;
    }
}

/// <summary>Which rows of a batch count. Without a mask column it is empty, which stands for all rows.</summary>
sealed class BatchMask
{
    readonly ValueGetter<bool>? getter;
    readonly bool[] shown;

    /// <param name="row">The cursor that is read.</param>
    /// <param name="column">The mask column, or null if all rows count.</param>
    /// <param name="batchSize">The number of rows in a batch; up to two more rows are held.</param>
    public BatchMask(DataViewRow row, DataViewSchema.Column? column, int batchSize)
    {
        getter = column is { } mask ? row.GetGetter<bool>(mask) : null;
        shown = getter is null ? [] : new bool[batchSize + 2];
    }

    /// <summary>Moves rows that belong to the next batch to its start.</summary>
    public void KeepFrom(int row, int rows)
    {
        if (getter is not null)
            shown.AsSpan(row, rows).CopyTo(shown);
    }

    /// <summary>Reads the cursor's current row into a row of the batch.</summary>
    public void Read(int row) => getter?.Invoke(ref shown[row]);

    /// <summary>One entry per row, or empty.</summary>
    public ReadOnlySpan<bool> Of(int rows) => getter is null ? default : shown.AsSpan(0, rows);
}
