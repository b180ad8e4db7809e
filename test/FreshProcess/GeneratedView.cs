using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>
/// A data view of one vector column X and a column Counts, made row by row while it is read, that knows who reads it.
/// </summary>
/// <param name="length">Values in a row of X.</param>
/// <param name="rows">The number of rows; null for a view whose end no test should reach.</param>
/// <param name="fill">Writes the values of a row.</param>
/// <param name="onRow">Called as a cursor moves to a row, or null.</param>
/// <param name="counts">Whether a row counts; null where all do.</param>
/// <param name="knowsRowCount">Whether the view tells the number of rows.</param>
/// <param name="claimedRows">The number of rows that it tells, if that is not the right one.</param>
sealed class GeneratedView(
    int length, long? rows, Action<long, Span<float>> fill, Action<long>? onRow = null, Func<long, bool>? counts = null,
    bool knowsRowCount = true, long? claimedRows = null)
    : IDataView
{
    const long LongestReading = 50_000_000;

    int opened, disposed;
    long read;

    public bool CanShuffle => false;

    public DataViewSchema Schema { get; } = MakeSchema(length);

    /// <summary>How many cursors were opened, and how many of them were disposed.</summary>
    public (int Opened, int Disposed) Cursors => (opened, disposed);

    /// <summary>How many rows all cursors together have moved to.</summary>
    public long Read => Interlocked.Read(ref read);

    public long? GetRowCount() => knowsRowCount ? claimedRows ?? rows : null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        Interlocked.Increment(ref opened);
        return new Cursor(this, [.. columnsNeeded.Select(column => column.Index)]);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    static DataViewSchema MakeSchema(int length)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumn("X", new VectorDataViewType(NumberDataViewType.Single, length));
        builder.AddColumn("Counts", BooleanDataViewType.Instance);
        return builder.ToSchema();
    }

    bool MoveTo(long row)
    {
        if (row >= rows)
            return false;
        if (row >= LongestReading)
            throw new InvalidOperationException("The reading does not end.");
        Interlocked.Increment(ref read);
        onRow?.Invoke(row);
        return true;
    }

    void Fill(long row, ref VBuffer<float> value)
    {
        VBufferEditor<float> editor = VBufferEditor.Create(ref value, length);
        fill(row, editor.Values);
        value = editor.Commit();
    }

    sealed class Cursor(GeneratedView view, int[] active) : DataViewRowCursor
    {
        long position = -1;

        public override long Position => position;

        public override long Batch => 0;

        public override DataViewSchema Schema => view.Schema;

        public override bool IsColumnActive(DataViewSchema.Column column) => active.Contains(column.Index);

        public override bool MoveNext()
        {
            if (view.MoveTo(position + 1))
            {
                position++;
                return true;
            }
            position = -1;
            return false;
        }

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId value) => value = new DataViewRowId((ulong)position, 0);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!IsColumnActive(column))
                throw new InvalidOperationException($"Column '{column.Name}' is read, and was not asked for.");
            Delegate getter = column.Index == 0
                ? (ValueGetter<VBuffer<float>>)((ref value) => view.Fill(position, ref value))
                : (ValueGetter<bool>)((ref value) => value = view.Counts(position));
            return (ValueGetter<TValue>)getter;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                Interlocked.Increment(ref view.disposed);
            base.Dispose(disposing);
        }
    }

    bool Counts(long row) => counts?.Invoke(row) ?? true;
}
