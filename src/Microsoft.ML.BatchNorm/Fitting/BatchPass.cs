using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Fills batches from a cursor's rows, and adds each while the next is filled.</summary>
/// <param name="host">Whose errors and cancellation it is.</param>
/// <param name="columns">The columns, with room for a batch and one row.</param>
/// <param name="batchRows">The rows of a batch; a last batch of one row is added to the one before it.</param>
/// <param name="overlaps">Whether a batch is added on another thread.</param>
/// <param name="counted">Where rows are counted.</param>
sealed class BatchPass(IHost host, ColumnFit[] columns, int batchRows, bool overlaps, RowCount counted)
    : FitPass(host, counted)
{
    long[] filledPositions = new long[batchRows + 1], addedPositions = new long[batchRows + 1];
    Task adding = Task.CompletedTask;

    public override void Read(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        RowReader[] readers = Array.ConvertAll(columns, column => column.Open(Host, cursor));
        try
        {
            // Rows in the data's order are numbered as they are counted.
            int left = readers.Length == 1 && mask is null && cursor is not ShuffledCursor
                ? ReadOne(cursor, readers[0])
                : ReadAll(cursor, readers, mask);
            if (left > 0)
                Add(left, keepsNext: false);
        }
        finally
        {
            // Whatever ended the pass, nothing works on the batches any more when it is over. To wait by the task adds
            // the batch here where no other thread has begun to, as none may where every thread fits.
            adding.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();
        }
        adding.GetAwaiter().GetResult();
    }

    /// <summary>Reads one column of all rows, and gives the number of rows that are left to be added.</summary>
    int ReadOne(DataViewRowCursor cursor, RowReader reader)
    {
        for (int at = 0; ;)
        {
            while (at <= batchRows)
            {
                Host.CheckAlive();
                int from = at, to = Math.Min(at + RowsBetweenChecks, batchRows + 1);
                long first = Counted.Value;
                at = reader.Read(cursor, from, to, Counted);
                for (int row = from; row < at; row++)
                    filledPositions[row] = first + (row - from);
                if (at < to)
                    return at;
            }
            // With one row behind a full batch, the next tells whether that row is the last.
            if (!cursor.MoveNext())
                return at;
            Add(batchRows, keepsNext: true);
            filledPositions[1] = Counted.Value;
            reader.Read(1);
            Counted.Increment();
            at = 2;
        }
    }

    /// <summary>The same for several columns, and for rows in another order or that a mask shows.</summary>
    int ReadAll(DataViewRowCursor cursor, RowReader[] readers, ValueGetter<bool>? mask)
    {
        int at = 0;
        while (MoveNext(cursor, mask))
        {
            if (at > batchRows)
            {
                Add(batchRows, keepsNext: true);
                at = 1;
            }
            filledPositions[at] = cursor.Position;
            foreach (RowReader reader in readers)
                reader.Read(at);
            at++;
            Counted.Increment();
        }
        return at;
    }

    void Add(int count, bool keepsNext)
    {
        Host.CheckAlive();
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
            column.Add(Host, count, positions);
    }
}
