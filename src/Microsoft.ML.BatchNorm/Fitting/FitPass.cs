using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>One pass of a cursor: fills batches, and adds each while the next is filled.</summary>
/// <param name="host">Whose errors and cancellation it is.</param>
/// <param name="columns">The columns, with room for a batch and one row.</param>
/// <param name="batchRows">The rows of a batch; a last batch of one row is added to the one before it.</param>
/// <param name="overlaps">Whether a batch is added on another thread.</param>
sealed class FitPass(IHost host, ColumnFit[] columns, int batchRows, bool overlaps)
{
    /// <summary>How often a cancellation is looked for while a large batch is filled.</summary>
    const int RowsBetweenChecks = 256;

    long[] filledPositions = new long[batchRows + 1], addedPositions = new long[batchRows + 1];
    Task adding = Task.CompletedTask;
    readonly RowCount rows = new();

    /// <summary>The rows that have counted so far; read from any thread.</summary>
    public long Rows => rows.Value;

    public void Read(IDataView view, DataViewSchema.Column? mask)
    {
        IEnumerable<DataViewSchema.Column> needed = columns.Select(column => view.Schema[column.Column.Name]);
        if (mask is { } maskColumn)
            needed = needed.Append(view.Schema[maskColumn.Name]);
        using DataViewRowCursor cursor = view.GetRowCursor(needed.Distinct());
        RowReader[] readers = Array.ConvertAll(columns, column => column.Open(cursor));
        try
        {
            int left = readers.Length == 1 && mask is null
                ? ReadOne(cursor, readers[0])
                : ReadAll(cursor, readers, mask is { } found ? cursor.GetGetter<bool>(view.Schema[found.Name]) : null);
            if (left > 0)
                Add(left, keepsNext: false);
        }
        finally
        {
            // Whatever ended the pass, nothing works on the batches any more when it is over.
            ((IAsyncResult)adding).AsyncWaitHandle.WaitOne();
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
                host.CheckAlive();
                int from = at, to = Math.Min(at + RowsBetweenChecks, batchRows + 1);
                long first = rows.Value;
                at = reader.Read(cursor, from, to, rows);
                for (int row = from; row < at; row++)
                    filledPositions[row] = first + (row - from);
                if (at < to)
                    return at;
            }
            // With one row behind a full batch, the next tells whether that row is the last.
            if (!cursor.MoveNext())
                return at;
            Add(batchRows, keepsNext: true);
            filledPositions[1] = rows.Value;
            reader.Read(1);
            rows.Increment();
            at = 2;
        }
    }

    /// <summary>The same for several columns, and for the rows that a mask shows.</summary>
    int ReadAll(DataViewRowCursor cursor, RowReader[] readers, ValueGetter<bool>? mask)
    {
        int at = 0;
        long hidden = 0;
        while (cursor.MoveNext())
        {
            if (!Counts(mask))
            {
                if (++hidden % batchRows == 0)
                    host.CheckAlive();
                continue;
            }
            if (at > batchRows)
            {
                Add(batchRows, keepsNext: true);
                at = 1;
            }
            filledPositions[at] = cursor.Position;
            foreach (RowReader reader in readers)
                reader.Read(at);
            at++;
            rows.Increment();
        }
        return at;
    }

    static bool Counts(ValueGetter<bool>? mask)
    {
        bool value = true;
        mask?.Invoke(ref value);
        return value;
    }

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
