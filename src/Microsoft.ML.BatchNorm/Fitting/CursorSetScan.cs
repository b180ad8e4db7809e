using System.Runtime.ExceptionServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Reads the cursors of a set, each on a thread of its own, and sums the rows with the bits of a single cursor.
/// </summary>
/// <remarks>
/// <code>
///     each thread              one at a time            each thread         one at a time
///
///   cursor 0: read 64 rows ─┐                        ┌─ sum a unit ─┐
///   cursor 1: read 64 rows ─┼─► put in order, cut ───┼─ sum a unit ─┼─► add in order ─► ColumnSums
///   cursor 2: read 64 rows ─┘   into units of 128    └─ sum a unit ─┘
/// </code>
/// <para>
/// The order. By ML.NET's contract a batch number belongs to one cursor, and the numbers of a cursor do not decrease.
/// The next rows of the data are therefore those with the smallest batch number, as soon as all other cursors are known
/// to be at greater numbers or at their end. Rows are cut into units in this order, and the sums of units are added in
/// this order; who sums a unit, and when, changes no bit.
/// </para>
/// <para>
/// Who waits for whom. A thread waits in one place only: in <see cref="HandOver"/>, if its cursor is too far ahead of
/// the order. It waits for the threads whose rows come earlier. The cursor whose rows come next is never ahead, so at
/// least one thread can go on. Nobody waits for a sum: one that is ready too early is kept. The first error stops all
/// threads, each at its next block of rows.
/// </para>
/// </remarks>
/// <param name="host">Reports errors and a cancellation.</param>
/// <param name="columns">The columns.</param>
/// <param name="cursors">The set.</param>
/// <param name="mask">The column that says whether a row counts, or null if all rows do.</param>
/// <param name="counted">Counts the rows.</param>
sealed class CursorSetScan(
    IHost host, ColumnFit[] columns, DataViewRowCursor[] cursors, DataViewSchema.Column? mask, RowCount counted)
{
    /// <summary>How far a cursor may be read ahead: blocks, and values unless two blocks have more.</summary>
    const int MostBlocks = 16, MostValues = 1 << 18;

    const long NotBegun = long.MinValue, Ended = long.MaxValue;

    readonly int mostAhead =
        Math.Clamp(MostValues / Block.Capacity / columns.Sum(column => column.Layout.Count), 2, MostBlocks);

    readonly ColumnSums[] sums = Array.ConvertAll(columns, column => column.OpenSums(host));
    volatile ExceptionDispatchInfo? failure;

    // The lock guards everything below.
    readonly object gate = new();
    readonly Source[] sources = Array.ConvertAll(cursors, _ => new Source());
    readonly Stack<Block> spareBlocks = [];
    readonly Stack<Unit> spareUnits = [];

    /// <summary>The blocks of the next unit: full ones, and one that is being filled.</summary>
    readonly List<Block> parts = [];
    Block? filling;

    /// <summary>The rows that are in order, with those that the mask hides, and the units cut from them.</summary>
    long ordered, cut;
    RowCenter[] centers = [];

    /// <summary>Units that were summed before one that comes earlier, and the number of units added so far.</summary>
    readonly Dictionary<long, Unit> early = [];
    long added;

    public void Run()
    {
        Task[] others =
        [
            .. Enumerable.Range(1, cursors.Length - 1).Select(cursor => Task.Factory.StartNew(
                () => Run(cursor), default, TaskCreationOptions.LongRunning, TaskScheduler.Default)),
        ];
        Run(0);
        Task.WaitAll(others);
        failure?.Throw();
        if (filling is not null)
            parts.Add(filling);
        if (parts.Count > 0)
        {
            Unit last = Cut();
            last.Sum();
            Add(last, 0);
        }
        foreach (ColumnSums column in sums)
            column.Complete();
    }

    void Run(int cursor)
    {
        try
        {
            Read(cursor, cursors[cursor]);
        }
        catch (Exception error)
        {
            lock (gate)
            {
                failure ??= ExceptionDispatchInfo.Capture(error);
                Monitor.PulseAll(gate);
            }
        }
    }

    /// <summary>Reads a cursor to its end, and sums units between its blocks.</summary>
    void Read(int index, DataViewRowCursor cursor)
    {
        Delegate[] getters = Array.ConvertAll(columns, column => column.Getter(cursor));
        ValueGetter<bool>? counts = mask is { } column ? cursor.GetGetter<bool>(column) : null;
        bool hasMore = cursor.MoveNext();
        // The first block is empty: it says where the cursor begins.
        Block block = NewBlock();
        while (true)
        {
            Unit? unit = HandOver(index, ref block, hasMore ? cursor.Batch : null);
            for (; unit is not null; unit = Add(unit, index))
                unit.Sum();
            if (!hasMore || failure is not null)
                return;
            hasMore = block.Fill(cursor, getters, counts);
            host.CheckAlive();
            counted.Add(block.Count);
        }
    }

    /// <summary>Takes the rows that a cursor has given. Waits if the cursor is too far ahead of the others.</summary>
    /// <param name="cursor">The cursor.</param>
    /// <param name="block">The rows; afterwards an empty block.</param>
    /// <param name="next">The batch number of the cursor's next row, or null at its end.</param>
    /// <returns>A unit to be summed, or null.</returns>
    Unit? HandOver(int cursor, ref Block block, long? next)
    {
        lock (gate)
        {
            Source source = sources[cursor];
            block.Batch = source.Batch;
            source.Ahead.Enqueue(block);
            source.Batch = next is { } batch ? Math.Clamp(batch, source.Batch, Ended - 1) : Ended;
            PutInOrder();
            if (next is not null && source.Ahead.Count >= mostAhead)
            {
                while (failure is null && source.Ahead.Count > mostAhead / 2)
                    Monitor.Wait(gate);
            }
            block = NewBlock();
            return NextUnit(cursor);
        }
    }

    /// <summary>Adds a summed unit, and those after it that were early; or keeps it if it is early itself.</summary>
    /// <returns>Another unit to be summed, or null.</returns>
    /// <exception cref="InvalidOperationException">The first row with a fault has been reached.</exception>
    Unit? Add(Unit unit, int cursor)
    {
        lock (gate)
        {
            foreach (Block part in unit.Parts)
            {
                part.Clear();
                spareBlocks.Push(part);
            }
            early.Add(unit.Number, unit);
            while (early.Remove(added, out Unit? next))
            {
                if (next.Fault is { } fault)
                    throw host.Except(new InvalidDataException(fault), fault);
                for (int column = 0; column < sums.Length; column++)
                    sums[column].Add(next.Sums[column]);
                spareUnits.Push(next);
                added++;
            }
            return NextUnit(cursor);
        }
    }

    /// <summary>
    /// The thread that read a unit's last rows sums it, since it has them in its cache. Threads that have ended leave
    /// theirs to the others.
    /// </summary>
    Unit? NextUnit(int cursor)
    {
        if (sources[cursor].Ready.TryDequeue(out Unit? own))
            return own;
        foreach (Source other in sources)
        {
            if (other.Batch == Ended && other.Ready.TryDequeue(out Unit? left))
                return left;
        }
        return null;
    }

    /// <summary>Moves all rows whose turn it is from the cursors' queues into units.</summary>
    void PutInOrder()
    {
        bool wakes = false;
        for (Source source = First(); source.Ahead.TryDequeue(out Block? block); source = First())
        {
            Append(block, source.Ready);
            wakes |= source.Ahead.Count == mostAhead / 2;
        }
        if (wakes)
            Monitor.PulseAll(gate);
    }

    /// <summary>The cursor whose rows are the next. If two have the same batch, against the contract, the first.</summary>
    Source First()
    {
        Source first = sources[0];
        foreach (Source other in sources)
        {
            if (other.NextBatch < first.NextBatch)
                first = other;
        }
        return first;
    }

    void Append(Block block, Queue<Unit> ready)
    {
        block.MoveBy(ordered);
        ordered += block.Moves;
        if (filling is { } part)
        {
            part.TakeFrom(block);
            if (part.IsFull)
            {
                filling = null;
                AddPart(part, ready);
            }
        }
        if (block.Count == 0)
            spareBlocks.Push(block);
        else if (block.IsFull)
            AddPart(block, ready);
        else
            filling = block;
    }

    void AddPart(Block part, Queue<Unit> ready)
    {
        parts.Add(part);
        if (parts.Count * Block.Capacity == RowUnit.MostRows)
            ready.Enqueue(Cut());
    }

    Unit Cut()
    {
        if (cut % RowShard.Units == 0)
            centers = Array.ConvertAll(parts[0].Columns, column => column.Center(parts[0].Count));
        if (!spareUnits.TryPop(out Unit? unit))
            unit = new Unit(Array.ConvertAll(sums, column => new RowUnit(column.Length)));
        (unit.Number, unit.Parts, unit.Centers) = (cut++, [.. parts], centers);
        parts.Clear();
        return unit;
    }

    Block NewBlock()
    {
        lock (gate)
            return spareBlocks.TryPop(out Block? block)
                ? block
                : new Block(Array.ConvertAll(columns, column => column.NewWindow(Block.Capacity)));
    }

    /// <summary>What is known of a cursor.</summary>
    sealed class Source
    {
        /// <summary>The batch number of its next row, which has not been read yet.</summary>
        public long Batch { get; set; } = NotBegun;

        /// <summary>Its rows whose turn has not come.</summary>
        public Queue<Block> Ahead { get; } = [];

        /// <summary>The units that its rows completed, to be summed.</summary>
        public Queue<Unit> Ready { get; } = [];

        public long NextBatch => Ahead.TryPeek(out Block? block) ? block.Batch : Batch;
    }

    /// <summary>Consecutive rows of one batch of a cursor; later, consecutive rows of the data.</summary>
    sealed class Block(RowWindow[] columns)
    {
        /// <summary>The most rows: about as many as ML.NET hands from thread to thread at once.</summary>
        public const int Capacity = 64;

        /// <summary>The most rows, with those that the mask hides, until a cancellation is noticed.</summary>
        const int MostMoves = Scan.RowsBetweenChecks;

        readonly long[] positions = new long[Capacity];

        public RowWindow[] Columns => columns;

        /// <summary>The number of rows. The buffers after them are spare.</summary>
        public int Count { get; private set; }

        public bool IsFull => Count == Capacity;

        /// <summary>By how many rows the cursor has moved, with those that the mask hides.</summary>
        public int Moves { get; private set; }

        public long Batch { get; set; }

        /// <summary>
        /// Reads the cursor's current row and the following ones, until the block is full or the batch ends. Leaves the
        /// cursor at the next row; false at the end of the data.
        /// </summary>
        public bool Fill(DataViewRowCursor cursor, Delegate[] getters, ValueGetter<bool>? mask)
        {
            long batch = cursor.Batch;
            for (Moves = 0; Moves < MostMoves && !IsFull;)
            {
                bool counts = true;
                mask?.Invoke(ref counts);
                if (counts)
                {
                    for (int column = 0; column < columns.Length; column++)
                        columns[column].Fill(Count, getters[column]);
                    positions[Count++] = Moves;
                }
                Moves++;
                if (!cursor.MoveNext())
                    return false;
                if (cursor.Batch != batch)
                    break;
            }
            return true;
        }

        /// <summary>Moves the positions by the number of rows that come before the block.</summary>
        public void MoveBy(long rows)
        {
            for (int row = 0; row < Count; row++)
                positions[row] += rows;
        }

        /// <summary>Takes another block's first rows, as many as there is room for, and gives it spare buffers.</summary>
        public void TakeFrom(Block other)
        {
            int taken = Math.Min(Capacity - Count, other.Count), left = other.Count - taken;
            for (int column = 0; column < columns.Length; column++)
            {
                columns[column].Exchange(Count, other.Columns[column], 0, taken);
                other.Columns[column].Exchange(0, other.Columns[column], taken, left);
            }
            Array.Copy(other.positions, 0, positions, Count, taken);
            Array.Copy(other.positions, taken, other.positions, 0, left);
            (Count, other.Count) = (Count + taken, left);
        }

        public void Clear() => (Count, Moves) = (0, 0);

        /// <summary>Says what is wrong with the first row that has a fault; null if there is none.</summary>
        public string? DescribeFault()
        {
            for (int row = 0; row < Count; row++)
            {
                foreach (RowWindow column in columns)
                {
                    if (column.DescribeFault(row, positions[row]) is { } found)
                        return found;
                }
            }
            return null;
        }
    }

    /// <summary>The rows of a unit, and their sums.</summary>
    sealed class Unit(RowUnit[] sums)
    {
        /// <summary>Its place among all units.</summary>
        public long Number { get; set; }

        /// <summary>Its rows. Only the last unit has a block that is not full.</summary>
        public Block[] Parts { get; set; } = [];

        /// <summary>The centers of its shard, one for each column.</summary>
        public RowCenter[] Centers { get; set; } = [];

        /// <summary>The sums of each column.</summary>
        public RowUnit[] Sums => sums;

        /// <summary>What is wrong with its first row that has a fault; null if there is none.</summary>
        public string? Fault { get; private set; }

        public void Sum()
        {
            bool finite = true;
            for (int column = 0; column < sums.Length; column++)
            {
                sums[column].Begin(Centers[column]);
                foreach (Block part in Parts)
                    finite &= part.Columns[column].AddTo(sums[column], part.Count);
            }
            Fault = finite
                ? null
                : Parts.Select(part => part.DescribeFault()).FirstOrDefault(found => found is not null);
        }
    }
}
