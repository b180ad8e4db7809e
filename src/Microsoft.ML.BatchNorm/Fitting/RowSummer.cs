using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Adds one column of a cursor's rows to its statistics.</summary>
abstract class RowSummer
{
    /// <summary>Takes the cursor's row, whose position in the data is given.</summary>
    public abstract void Read(long position);

    /// <summary>Moves the cursor on by so many rows, takes and counts them; false at the end of the data.</summary>
    public abstract bool Read(DataViewRowCursor cursor, int count, RowCount rows);

    /// <summary>Adds the rows that are still held.</summary>
    public abstract void Complete();
}

/// <summary>
/// Holds a few rows in the buffers that the cursor's getter filled, and adds them from there while they are in the
/// first-level cache.
/// </summary>
sealed class RowSummer<T>(
    IHost host, string column, ValueGetter<VBuffer<T>> getter, int length, PopulationFit fit) : RowSummer
    where T : unmanaged
{
    readonly RowShard<T> shard = new(length);
    readonly VBuffer<T>[] buffers = new VBuffer<T>[RowShard<T>.Group];
    readonly T[]?[] dense = new T[RowShard<T>.Group][];
    readonly long[] positions = new long[RowShard<T>.Group];
    int held;

    public override void Read(long position)
    {
        getter(ref buffers[held]);
        positions[held] = position;
        if (++held == RowShard<T>.Group)
            Add();
    }

    public override bool Read(DataViewRowCursor cursor, int count, RowCount rows)
    {
        for (; count > 0 && cursor.MoveNext(); count--)
        {
            Read(rows.Value);
            rows.Increment();
        }
        return count == 0;
    }

    public override void Complete()
    {
        Add();
        if (shard.Rows > 0)
            Add(shard);
    }

    void Add()
    {
        bool finite = true;
        if (held == RowShard<T>.Group)
        {
            finite = shard.Add(Values(0), Values(1), Values(2), Values(3));
        }
        else
        {
            for (int row = 0; row < held; row++)
                finite &= shard.Add(Values(row));
        }
        if (!finite)
            ThrowIfAny();
        held = 0;
        if (shard.IsFull)
            Add(shard);
    }

    void Add(RowShard<T> full)
    {
        try
        {
            fit.Add(full);
        }
        catch (InvalidDataException error)
        {
            throw host.Except(error, $"Column '{column}': {error.Message}");
        }
    }

    void ThrowIfAny()
    {
        for (int row = 0; row < held; row++)
        {
            if (NonFiniteRow.Describe(column, Values(row), positions[row]) is { } found)
                throw host.Except(new InvalidDataException(found), found);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    ReadOnlySpan<T> Values(int row)
    {
        ReadOnlySpan<T> values = buffers[row].GetValues();
        return values.Length == length ? values : Dense(row);
    }

    T[] Dense(int row)
    {
        T[] values = dense[row] ??= new T[length];
        buffers[row].CopyTo(values);
        return values;
    }
}
