using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Fills batches from a cursor's rows, those of wide columns with fewer rows than those of narrow ones, and adds each
/// while the next is filled.
/// </summary>
/// <param name="host">Whose errors and cancellation it is.</param>
/// <param name="columns">The columns, with room for a batch and one row.</param>
/// <param name="overlaps">Whether a batch is added on another thread.</param>
/// <param name="counted">Where rows are counted.</param>
sealed class BatchPass(IHost host, ColumnFit[] columns, bool overlaps, RowCount counted) : FitPass(host, counted)
{
    readonly Batch[] batches =
        [.. columns.GroupBy(column => column.BatchRows).Select(group => new Batch(host, [.. group], overlaps))];

    public override void Read(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        foreach (Batch batch in batches)
            batch.Open(cursor);
        try
        {
            // Rows in the data's order are numbered as they are counted.
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

    /// <summary>Reads several columns, or rows in another order or that a mask shows.</summary>
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
    /// The batch of the columns that have as many rows in one; a last batch of one row is added to the one before it.
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

        /// <summary>Reads the one column of all rows, as many at once as there are between checks.</summary>
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
                // With one row behind a full batch, the next tells whether that row is the last.
                if (!cursor.MoveNext())
                    return;
                Add(batchRows, keepsNext: true);
                filledPositions[1] = counted.Value;
                reader.Read(1);
                counted.Increment();
                filled = 2;
            }
        }

        /// <summary>Reads the cursor's row.</summary>
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
        /// Whatever ended the pass, nothing works on the batches any more when it is over. To wait by the task adds the
        /// batch here where no other thread has begun to, as none may where every thread fits.
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

        /// <summary>Begins the next batch, with the row behind this one where there is one.</summary>
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
