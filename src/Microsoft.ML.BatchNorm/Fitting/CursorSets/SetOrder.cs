namespace Microsoft.ML.Transforms;

/// <summary>
/// Puts the rows that threads read from the cursors of a set in the order of the data, and cuts them into units; called
/// from any thread.
/// </summary>
/// <remarks>
/// By ML.NET's contract a batch number is that of one cursor, and a cursor's do not decrease: the next rows are those
/// of the smallest batch, once all other cursors are known to be at greater ones or at their end. Until then a cursor
/// may be read some pieces ahead, so that threads seldom wait for each other.
/// </remarks>
/// <param name="cursors">The number of cursors.</param>
/// <param name="newBlock">Makes an empty block.</param>
/// <param name="valuesPerRow">Values in a row, of all columns that are read.</param>
sealed class SetOrder(int cursors, Func<RowBlock> newBlock, int valuesPerRow)
{
    /// <summary>What a cursor is read ahead: pieces, and values unless they are of two pieces.</summary>
    const int MostPieces = 16, MostValues = 1 << 18;

    const long NotBegun = long.MinValue, Ended = long.MaxValue;

    readonly int mostAhead = Math.Clamp(MostValues / RowBlock.Capacity / valuesPerRow, 2, MostPieces);
    readonly object gate = new();
    readonly long[] batches = [.. Enumerable.Repeat(NotBegun, cursors)];
    readonly Queue<Piece>[] ahead = [.. Enumerable.Range(0, cursors).Select(_ => new Queue<Piece>())];
    readonly Queue<CutUnit>[] ready = [.. Enumerable.Range(0, cursors).Select(_ => new Queue<CutUnit>())];
    readonly UnitCutter cutter = new();
    readonly Stack<RowBlock> spare = [];
    volatile bool isStopped;

    /// <summary>Rows that a cursor gave behind each other, all of one batch.</summary>
    readonly record struct Piece(RowBlock Rows, int Moves, long Batch);

    /// <summary>Whether all have been stopped.</summary>
    public bool IsStopped => isStopped;

    /// <summary>A cursor is at its first row, which is of a batch, or, where that is null, has none.</summary>
    /// <returns>An empty block for its rows.</returns>
    public RowBlock Begin(int cursor, long? batch)
    {
        lock (gate)
        {
            MoveTo(cursor, batch);
            Advance();
            return NewBlock();
        }
    }

    /// <summary>Takes rows that a cursor has given; waits where it is too far ahead of others.</summary>
    /// <param name="cursor">The cursor.</param>
    /// <param name="rows">The rows; then an empty block.</param>
    /// <param name="moves">The rows that the cursor has moved by, those that a mask hides among them.</param>
    /// <param name="next">The batch of its next row, or null at its end.</param>
    /// <returns>A unit to be summed, or null.</returns>
    public CutUnit? Add(int cursor, ref RowBlock rows, int moves, long? next)
    {
        lock (gate)
        {
            ahead[cursor].Enqueue(new Piece(rows, moves, batches[cursor]));
            MoveTo(cursor, next);
            Advance();
            if (next is not null && ahead[cursor].Count >= mostAhead)
            {
                while (!isStopped && ahead[cursor].Count > mostAhead / 2)
                    Monitor.Wait(gate);
            }
            rows = NewBlock();
            return Ready(cursor);
        }
    }

    /// <summary>Another unit to be summed, or null.</summary>
    /// <param name="cursor">The cursor of the thread.</param>
    /// <param name="done">One that has been summed, or null.</param>
    public CutUnit? Take(int cursor, CutUnit? done = null)
    {
        lock (gate)
        {
            foreach (RowBlock part in done?.Parts ?? [])
            {
                part.Clear();
                spare.Push(part);
            }
            return Ready(cursor);
        }
    }

    /// <summary>The last rows, that make no full unit, or null, once all cursors are at their end.</summary>
    public CutUnit? TakeLast() => cutter.TakeLast();

    /// <summary>Ends all waiting, now and later.</summary>
    public void Stop()
    {
        lock (gate)
        {
            isStopped = true;
            Monitor.PulseAll(gate);
        }
    }

    void MoveTo(int cursor, long? batch) =>
        batches[cursor] = batch is { } number ? Math.Clamp(number, batches[cursor], Ended - 1) : Ended;

    RowBlock NewBlock() => spare.TryPop(out RowBlock? block) ? block : newBlock();

    /// <summary>Units are summed by the thread that read their last rows, as long as it reads.</summary>
    CutUnit? Ready(int cursor)
    {
        if (ready[cursor].TryDequeue(out CutUnit? own))
            return own;
        for (int other = 0; other < cursors; other++)
        {
            if (batches[other] == Ended && ready[other].TryDequeue(out CutUnit? left))
                return left;
        }
        return null;
    }

    void Advance()
    {
        bool wakes = false;
        for (int cursor = First(); ahead[cursor].TryDequeue(out Piece piece); cursor = First())
        {
            RowBlock rows = piece.Rows;
            RowBlock? empty = NewBlock();
            if (cutter.Take(ref rows, piece.Moves, ref empty) is { } unit)
                ready[cursor].Enqueue(unit);
            if (empty is not null)
                spare.Push(empty);
            spare.Push(rows);
            wakes |= ahead[cursor].Count == mostAhead / 2;
        }
        if (wakes)
            Monitor.PulseAll(gate);
    }

    /// <summary>
    /// The cursor whose rows are the next; of two at one batch, which a set should not have, the first.
    /// </summary>
    int First()
    {
        int first = 0;
        for (int cursor = 1; cursor < cursors; cursor++)
        {
            if (Next(cursor) < Next(first))
                first = cursor;
        }
        return first;
    }

    long Next(int cursor) => ahead[cursor].TryPeek(out Piece piece) ? piece.Batch : batches[cursor];
}
