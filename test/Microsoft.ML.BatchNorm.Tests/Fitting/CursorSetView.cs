using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>
/// The rows of another view, which gives a set of cursors: rows that lie behind each other make batches, each of which
/// one of the cursors has.
/// </summary>
/// <param name="source">The other view.</param>
/// <param name="batchRows">The number of rows of each batch, over and over.</param>
/// <param name="owner">The cursor of a batch, by the batch's index and the number of cursors.</param>
/// <param name="number">A batch's number by its index.</param>
/// <param name="onRow">Called with the row that a cursor moves to, or null.</param>
sealed class CursorSetView(
    IDataView source, int[] batchRows, Func<int, int, int> owner, Func<int, long>? number = null,
    Action<long>? onRow = null)
    : IDataView
{
    int opened, disposed;

    public bool CanShuffle => false;

    public DataViewSchema Schema => source.Schema;

    /// <summary>How many cursors sets had, and how many of them were disposed.</summary>
    public (int Opened, int Disposed) Cursors => (opened, disposed);

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        source.GetRowCursor(columnsNeeded, rand);

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        Interlocked.Add(ref opened, n);
        return [.. Enumerable.Range(0, n).Select(
            cursor => new Cursor(this, source.GetRowCursor(columnsNeeded), batch => owner(batch, n) == cursor))];
    }

    sealed class Cursor(CursorSetView view, DataViewRowCursor all, Func<int, bool> isOwn) : DataViewRowCursor
    {
        int batch = -1, left;
        long position = -1;

        public override long Position => position;

        public override long Batch => view.Number(batch);

        public override DataViewSchema Schema => all.Schema;

        public override bool IsColumnActive(DataViewSchema.Column column) => all.IsColumnActive(column);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            all.GetGetter<TValue>(column);

        public override ValueGetter<DataViewRowId> GetIdGetter() => all.GetIdGetter();

        public override bool MoveNext()
        {
            while (all.MoveNext())
            {
                for (; left == 0; left = view.RowsOf(batch))
                    batch++;
                left--;
                if (!isOwn(batch))
                    continue;
                view.Moved(all.Position);
                position++;
                return true;
            }
            position = -1;
            return false;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                all.Dispose();
                Interlocked.Increment(ref view.disposed);
            }
            base.Dispose(disposing);
        }
    }

    int RowsOf(int batch) => batchRows[batch % batchRows.Length];

    long Number(int batch) => number?.Invoke(batch) ?? 3L * batch - 7;

    void Moved(long row) => onRow?.Invoke(row);
}
