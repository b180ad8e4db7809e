using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Reads a view once, from its first row to its last, and adds the rows to the statistics of columns. There are three
/// kinds, with the same exact statistics up to rounding; which one runs does not depend on the number of threads.
/// <see cref="RowScan"/> sums rows where the cursor puts them, <see cref="CursorSetScan"/> does so on several threads
/// with the same bits, and <see cref="BatchScan"/> copies rows into batches for engines that need the values.
/// </summary>
/// <param name="host">Reports errors and a cancellation.</param>
/// <param name="counted">Counts the rows.</param>
abstract class Scan(IHost host, RowCount counted)
{
    /// <summary>How many rows are read between two checks for a cancellation.</summary>
    public const int RowsBetweenChecks = 256;

    /// <summary>The most cursors of a set; ML.NET's views hold rows for each, and start a thread.</summary>
    const int MostCursors = 64;

    long moved;

    protected IHost Host { get; } = host;

    protected RowCount Counted { get; } = counted;

    /// <summary>Whether rows can be summed where the cursor puts them; otherwise the columns need batches.</summary>
    public static bool SumsRows(ColumnFit[] columns) => Array.TrueForAll(columns, column => column.SumsRows);

    /// <summary>Reads the view once.</summary>
    /// <param name="host">Reports errors and a cancellation.</param>
    /// <param name="input">The view.</param>
    /// <param name="columns">The columns.</param>
    /// <param name="mask">The column that says whether a row counts, or null if all rows do.</param>
    /// <param name="threads">How many threads may work.</param>
    /// <param name="shuffleSeed">Decides the order of the rows; null for the view's own order.</param>
    /// <param name="counted">Counts the rows that the mask does not hide.</param>
    /// <returns>The number of these rows.</returns>
    public static long Run(
        IHost host, IDataView input, ColumnFit[] columns, DataViewSchema.Column? mask, int threads, int? shuffleSeed,
        RowCount counted)
    {
        bool sumsRows = SumsRows(columns);
        DataViewRowCursor[] cursors = Open(
            host, input, columns.Select(column => column.Column), mask, sumsRows ? Math.Min(threads, MostCursors) : 1,
            shuffleSeed);
        try
        {
            if (cursors.Length > 1)
            {
                new CursorSetScan(host, columns, cursors, mask, counted).Run();
                return counted.Value;
            }
            Scan scan = sumsRows
                ? new RowScan(host, columns, counted)
                : new BatchScan(host, columns, threads > 1, counted);
            scan.Read(cursors[0], mask is { } counts ? cursors[0].GetGetter<bool>(counts) : null);
            return counted.Value;
        }
        finally
        {
            foreach (DataViewRowCursor cursor in cursors)
                cursor.Dispose();
        }
    }

    /// <param name="cursor">The rows.</param>
    /// <param name="mask">Whether a row counts, or null if all rows do.</param>
    protected abstract void Read(DataViewRowCursor cursor, ValueGetter<bool>? mask);

    /// <summary>Moves to the next row that counts.</summary>
    protected bool MoveNext(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        while (cursor.MoveNext())
        {
            if (++moved % RowsBetweenChecks == 0)
                Host.CheckAlive();
            bool counts = true;
            mask?.Invoke(ref counts);
            if (counts)
                return true;
        }
        return false;
    }

    static DataViewRowCursor[] Open(
        IHost host, IDataView input, IEnumerable<DataViewSchema.Column> columns, DataViewSchema.Column? mask, int most,
        int? shuffleSeed)
    {
        DataViewSchema.Column[] needed = [.. (mask is { } counts ? columns.Append(counts) : columns).Distinct()];
        if (shuffleSeed is { } seed)
            return [ShuffledCursor.Open(host, input, needed, seed)];
        return most > 1 ? input.GetRowCursorSet(needed, most) : [input.GetRowCursor(needed)];
    }
}

/// <summary>A number of rows that any thread may read.</summary>
sealed class RowCount
{
    long value;

    public long Value => Volatile.Read(ref value);

    /// <summary>Counts one row. Only for a scan with a single thread.</summary>
    public void Increment() => Volatile.Write(ref value, value + 1);

    /// <summary>Counts some rows, from any thread.</summary>
    public void Add(int rows) => Interlocked.Add(ref value, rows);
}
