using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Sums each row where the cursor's getters put it, without a batch. It works on the reading thread: handing a row to
/// another thread takes no less time than adding it.
/// </summary>
sealed class RowScan(IHost host, ColumnFit[] columns, RowCount counted) : Scan(host, counted)
{
    protected override void Read(DataViewRowCursor cursor, ValueGetter<bool>? mask)
    {
        RowSummer[] summers = Array.ConvertAll(columns, column => column.OpenSummer(Host, cursor));
        Host.CheckAlive();
        if (summers.Length == 1 && mask is null)
        {
            while (summers[0].Read(cursor, RowsBetweenChecks, Counted))
                Host.CheckAlive();
        }
        else
        {
            while (MoveNext(cursor, mask))
            {
                long position = cursor.Position;
                foreach (RowSummer summer in summers)
                    summer.Read(position);
                Counted.Increment();
            }
        }
        foreach (RowSummer summer in summers)
            summer.Complete();
    }
}

/// <summary>Adds one column of a cursor's rows to its statistics.</summary>
abstract class RowSummer
{
    /// <summary>Takes the cursor's current row, which has this position in the data.</summary>
    public abstract void Read(long position);

    /// <summary>Moves the cursor on by up to this many rows, takes and counts them; false at the end of the data.</summary>
    public abstract bool Read(DataViewRowCursor cursor, int count, RowCount counted);

    /// <summary>Adds the rows that it still holds.</summary>
    public abstract void Complete();
}

/// <summary>
/// A <see cref="RowSummer"/> of one type of values. It holds a few rows in the buffers that the getter filled, and adds
/// them while they are in the first-level cache.
/// </summary>
sealed class RowSummer<T>(
    IHost host, DataViewSchema.Column column, ValueGetter<VBuffer<T>> getter, int length, ColumnSums sums) : RowSummer
    where T : unmanaged, IFloatingPointIeee754<T>
{
    readonly RowWindow<T> rows = RowWindow<T>.Aligned(column, length, RowUnit.Group);
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

/// <summary>
/// Takes the sums of a column's rows, unit by unit in the order of the data, and hands their statistics to the fit,
/// shard by shard.
/// </summary>
sealed class ColumnSums(IHost host, string column, int length, IStatisticsFit fit)
{
    readonly RowShard shard = new(length);

    /// <summary>Whether the next unit begins a shard, and so has centers of its own.</summary>
    public bool BeginsShard => shard.Rows == 0;

    /// <summary>The number of values in a row.</summary>
    public int Length => length;

    /// <summary>Adds a unit and empties it.</summary>
    public void Add(RowUnit unit)
    {
        shard.Add(unit);
        if (shard.IsFull)
            HandOver();
    }

    /// <summary>Hands over the last rows, which fill no shard.</summary>
    public void Complete()
    {
        if (!BeginsShard)
            HandOver();
    }

    void HandOver()
    {
        try
        {
            var statistics = new BatchStatistics(length);
            shard.MoveTo(statistics);
            fit.Add(statistics);
        }
        catch (InvalidDataException error)
        {
            throw host.Except(error, RowFaults.Statistics(column, ChannelLayout.Features(1, length), error));
        }
    }
}
