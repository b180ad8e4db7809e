using System.Numerics;
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
    public abstract bool Read(DataViewRowCursor cursor, int count, RowCount counted);

    /// <summary>Adds the rows that are still held.</summary>
    public abstract void Complete();
}

/// <summary>
/// Holds a few rows in the buffers that the cursor's getter filled, and adds them from there while they are in the
/// first-level cache.
/// </summary>
sealed class RowSummer<T>(
    IHost host, DataViewSchema.Column column, ValueGetter<VBuffer<T>> getter, int length, ColumnSums sums) : RowSummer
    where T : unmanaged, IFloatingPointIeee754<T>
{
    readonly HeldRows<T> rows = HeldRows<T>.Aligned(column, length, RowUnit.Group);
    readonly RowUnit unit = new(length);
    readonly long[] positions = new long[RowUnit.Group];
    RowCenter? center;
    int held;

    public override void Read(long position)
    {
        getter(ref rows[held]);
        positions[held] = position;
        if (++held == RowUnit.Group)
            Add();
    }

    public override bool Read(DataViewRowCursor cursor, int count, RowCount counted)
    {
        for (; count > 0 && cursor.MoveNext(); count--)
        {
            Read(counted.Value);
            counted.Increment();
        }
        return count == 0;
    }

    public override void Complete()
    {
        if (held > 0)
            Add();
        if (unit.Rows > 0)
            sums.Add(unit);
        sums.Complete();
    }

    void Add()
    {
        if (unit.Rows == 0)
        {
            if (center is null || sums.BeginsShard)
                center = rows.Center(held);
            unit.Begin(center);
        }
        if (!(held == RowUnit.Group ? rows.AddGroupTo(unit, 0) : rows.AddTo(unit, held)))
            ThrowIfAny();
        held = 0;
        if (unit.IsFull)
            sums.Add(unit);
    }

    void ThrowIfAny()
    {
        for (int row = 0; row < held; row++)
        {
            if (rows.DescribeFault(row, positions[row]) is { } found)
                throw host.Except(new InvalidDataException(found), found);
        }
    }
}
