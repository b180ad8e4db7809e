using System.Runtime.ExceptionServices;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// One pass over the cursors of a set, each read by a thread of its own. Their rows are put in the order of the data,
/// cut into units, and these summed by whoever comes next: the bits are those of one cursor.
/// </summary>
/// <param name="host">Whose errors and cancellation it is.</param>
/// <param name="columns">The columns.</param>
/// <param name="counted">Where rows are counted.</param>
sealed class RowSetPass(IHost host, ColumnFit[] columns, RowCount counted)
{
    /// <summary>The most rows that go by before a cancellation is looked for.</summary>
    const int MostMoves = 256;

    readonly IHost host = host;
    readonly ColumnFit[] columns = columns;
    readonly RowCount counted = counted;
    readonly ColumnSums[] sums = Array.ConvertAll(columns, column => column.OpenSums(host));
    ExceptionDispatchInfo? failure;

    /// <param name="cursors">The set.</param>
    /// <param name="mask">The column that tells whether a row counts, or null.</param>
    public void Read(DataViewRowCursor[] cursors, DataViewSchema.Column? mask)
    {
        var order = new SetOrder(cursors.Length, NewBlock, columns.Sum(column => column.Layout.Count));
        var merge = new UnitMerge(host, sums);
        Action[] readings =
        [
            .. cursors.Select<DataViewRowCursor, Action>((cursor, i) => () => new Reader(
                this, order, merge, i, cursor, mask is { } counts ? cursor.GetGetter<bool>(counts) : null).Run()),
        ];
        Task[] others =
        [
            .. readings.Skip(1).Select(reading => Task.Factory.StartNew(
                () => Run(reading, order), default, TaskCreationOptions.LongRunning, TaskScheduler.Default)),
        ];
        Run(readings[0], order);
        Task.WaitAll(others);
        failure?.Throw();
        if (order.TakeLast() is { } last)
            merge.Add(merge.NewSum().Sum(last));
        foreach (ColumnSums column in sums)
            column.Complete();
    }

    /// <summary>Whatever ends one reading ends all.</summary>
    void Run(Action reading, SetOrder order)
    {
        try
        {
            reading();
        }
        catch (Exception error)
        {
            Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(error), null);
            order.Stop();
        }
    }

    RowBlock NewBlock() => new(Array.ConvertAll(columns, column => column.NewRows(RowBlock.Capacity)));

    sealed class Reader(
        RowSetPass pass, SetOrder order, UnitMerge merge, int index, DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        readonly RowFiller[] fillers = [.. pass.columns.Select((column, i) => column.OpenRows(cursor, i))];
        SummedUnit? sum;

        public void Run()
        {
            bool hasMore = cursor.MoveNext();
            RowBlock rows = order.Begin(index, Batch(hasMore));
            Sum(order.Take(index));
            while (hasMore && !order.IsStopped)
            {
                hasMore = Fill(rows, out int moves);
                pass.host.CheckAlive();
                pass.counted.Add(rows.Count);
                Sum(order.Add(index, ref rows, moves, Batch(hasMore)));
            }
        }

        void Sum(CutUnit? unit)
        {
            for (; unit is not null; unit = order.Take(index, unit))
            {
                sum ??= merge.NewSum();
                sum = merge.Add(sum.Sum(unit));
            }
        }

        long? Batch(bool hasMore) => hasMore ? cursor.Batch : null;

        /// <summary>
        /// Holds the rows from the cursor's own on, up to a full block or to the end of its batch, and leaves the
        /// cursor at the next; false at the end of the data.
        /// </summary>
        bool Fill(RowBlock rows, out int moves)
        {
            long batch = cursor.Batch;
            for (moves = 0; moves < MostMoves && !rows.IsFull;)
            {
                bool counts = true;
                mask?.Invoke(ref counts);
                if (counts)
                {
                    foreach (RowFiller filler in fillers)
                        filler.Fill(rows);
                    rows.Append(moves);
                }
                moves++;
                if (!cursor.MoveNext())
                    return false;
                if (cursor.Batch != batch)
                    break;
            }
            return true;
        }
    }
}
