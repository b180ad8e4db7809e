using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A transformed view in which the normalized columns come from training mode: each batch of consecutive rows is
/// normalized with its own statistics, and nothing moves. Rows come in one order, that of the batches.
/// </summary>
/// <param name="host">Whose errors they are.</param>
/// <param name="input">The view that is normalized.</param>
/// <param name="transformed">The same, normalized with the moving statistics: the schema and all other columns.</param>
/// <param name="columns">The normalized columns.</param>
/// <param name="batchSize">Rows in a batch; a last batch of one row is joined to the one before it.</param>
/// <param name="mask">
/// The column of <paramref name="input"/> that hides rows from their batch's statistics, or null to count all. Hidden
/// rows are normalized too; a batch without any other takes the moving statistics.
/// </param>
sealed class TrainingView(
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
        // What is normalized here is not normalized with the moving statistics beside.
        DataViewRowCursor rows = transformed.GetRowCursor(
            needed.Where(column => !normalized.Any(other => Schema[other.OutputColumnName].Index == column.Index)));
        if (normalized.Length == 0)
            return rows;

        DataViewRowCursor? ahead = null;
        try
        {
            IEnumerable<DataViewSchema.Column> read = normalized.Select(column => input.Schema[column.InputColumnName]);
            ahead = input.GetRowCursor((mask is { } column ? read.Append(column) : read).Distinct());
            TrainingColumn[] batches =
                [.. normalized.Select(column => TrainingColumn.Of(host, column, Schema, ahead, batchSize))];
            return new TrainingCursor(
                host, rows, ahead, batches, new TrainingMask(ahead, mask, batchSize), batchSize);
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
