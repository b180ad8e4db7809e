using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Copies a cursor's rows into batches, and adds each batch while the next one is filled. Wide columns have fewer rows
/// per batch than narrow ones.
/// </summary>
/// <param name="host">Reports errors and a cancellation.</param>
/// <param name="columns">The columns, with room for a batch and one row.</param>
/// <param name="overlaps">Whether another thread adds a batch.</param>
/// <param name="counted">Counts the rows.</param>
sealed class BatchScan(IHost host, ColumnFit[] columns, bool overlaps, RowCount counted) : Scan(host, counted)
{
    readonly Batch[] batches =
        [.. columns.GroupBy(column => column.BatchRows).Select(group => new Batch(host, [.. group], overlaps))];

    protected override void Read(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        foreach (Batch batch in batches)
            batch.Open(cursor);
        try
        {
            // Only rows in the data's order have their count as position.
            if (columns.Length == 1 && mask is null && cursor is not ShuffledCursor)
                batches[0].ReadOne(cursor, Counted);
            else
                ReadAll(cursor, mask);
            foreach (Batch batch in batches)
                batch.AddLast();
        }
        finally
        {
            foreach (Batch batch in batches)
                batch.Wait();
        }
        foreach (Batch batch in batches)
            batch.ThrowIfFailed();
    }

    /// <summary>Reads several columns, a shuffled cursor, or rows with a mask.</summary>
    void ReadAll(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        while (MoveNext(cursor, mask))
        {
            foreach (Batch batch in batches)
                batch.Read(cursor.Position);
            Counted.Increment();
        }
    }

    /// <summary>
    /// The batch of those columns that have the same number of rows per batch. A last batch of one row is joined to
    /// the batch before it, so up to one row more than a batch is read before a batch is added.
    /// </summary>
    sealed class Batch(IHost host, ColumnFit[] columns, bool overlaps)
    {
        readonly int batchRows = columns[0].BatchRows;
        RowReader[] readers = [];
        long[] filledPositions = new long[columns[0].BatchRows + 1];
        long[] addedPositions = new long[columns[0].BatchRows + 1];
        int filled;
        Task adding = Task.CompletedTask;

        public void Open(DataViewRow row) => readers = Array.ConvertAll(columns, column => column.Open(host, row));

        /// <summary>Reads all rows of a single column, many rows per call of its reader.</summary>
        public void ReadOne(DataViewRowCursor cursor, RowCount counted)
        {
            RowReader reader = readers[0];
            while (true)
            {
                while (filled <= batchRows)
                {
                    host.CheckAlive();
                    int from = filled, to = Math.Min(filled + RowsBetweenChecks, batchRows + 1);
                    long first = counted.Value;
                    filled = reader.Read(cursor, from, to, counted);
                    for (int row = from; row < filled; row++)
                        filledPositions[row] = first + (row - from);
                    if (filled < to)
                        return;
                }
                // A full batch and one row are read. If there is another row, that one row is not the last.
                if (!cursor.MoveNext())
                    return;
                Add(batchRows, keepsNext: true);
                filledPositions[1] = counted.Value;
                reader.Read(1);
                counted.Increment();
                filled = 2;
            }
        }

        /// <summary>Reads the cursor's current row.</summary>
        public void Read(long position)
        {
            if (filled > batchRows)
            {
                Add(batchRows, keepsNext: true);
                filled = 1;
            }
            filledPositions[filled] = position;
            foreach (RowReader reader in readers)
                reader.Read(filled);
            filled++;
        }

        /// <summary>Adds the rows that are left.</summary>
        public void AddLast()
        {
            if (filled > 0)
                Add(filled, keepsNext: false);
        }

        /// <summary>
        /// Always wait for the background add, also after an error. Waiting on the task runs it on this thread if the
        /// thread pool has not started it; the pool may be full of fits.
        /// </summary>
        public void Wait() => adding.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();

        public void ThrowIfFailed() => adding.GetAwaiter().GetResult();

        void Add(int count, bool keepsNext)
        {
            host.CheckAlive();
            if (!overlaps)
            {
                Add(count, filledPositions);
                Next(count, keepsNext);
                return;
            }
            adding.GetAwaiter().GetResult();
            Next(count, keepsNext);
            long[] positions = addedPositions;
            adding = Task.Run(() => Add(count, positions));
        }

        /// <summary>Begins the next batch, with the row after this batch if it has been read.</summary>
        void Next(int count, bool keepsNext)
        {
            foreach (ColumnFit column in columns)
                column.Swap(count, keepsNext);
            (filledPositions, addedPositions) = (addedPositions, filledPositions);
            if (keepsNext)
                filledPositions[0] = addedPositions[count];
        }

        void Add(int count, long[] positions)
        {
            foreach (ColumnFit column in columns)
                column.Add(host, count, positions);
        }
    }
}

/// <summary>How many values of a channel share the statistics of a batch.</summary>
static class BatchValues
{
    /// <summary>
    /// With fewer values per batch, the average of the batches' variances is more than 5 % too small: it is (n − 1)/n
    /// of the variance.
    /// </summary>
    const int Few = 20;

    /// <param name="options">The layer's options.</param>
    /// <param name="row">The layout of one row.</param>
    /// <param name="batchRows">The number of rows in a batch.</param>
    public static long PerChannel(BatchNormalizationOptions options, ChannelLayout row, int batchRows) =>
        (long)Math.Min(batchRows, options.VirtualBatchSize ?? batchRows) * row.Positions;

    /// <summary>Whether averaging the variances of this many values each gives visibly less than the variance.</summary>
    public static bool AreFew(BatchNormalizationOptions options, long values) =>
        values < Few && options.EffectiveVarianceConvention == VarianceConvention.Population;

    public static string DescribeFew(long values) => FormattableString.Invariant(
        $"the average of the variances of {values} values per channel and batch is {100.0 / values:F0} % less than the ")
        + "variance.";
}
