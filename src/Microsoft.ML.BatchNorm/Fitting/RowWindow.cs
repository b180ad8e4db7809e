using System.Numerics;
using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.Kernels;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>Rows of one column, each in the buffer that a cursor's getter filled.</summary>
abstract class HeldRows
{
    /// <summary>The centers that the first of so many rows give a shard.</summary>
    public abstract RowCenter Center(int count);

    /// <summary>Adds the first rows; false where a value is not finite, or a row has another length.</summary>
    public abstract bool AddTo(RowUnit unit, int count);

    /// <summary>Which value of a row is not finite, or that it has another length; null where it is in order.</summary>
    public abstract string? DescribeFault(int row, long position);

    /// <summary>Exchanges rows for those of another.</summary>
    public abstract void Exchange(int at, HeldRows other, int otherAt, int count);
}

/// <summary>The same, of one type of values.</summary>
/// <param name="column">The column.</param>
/// <param name="length">Values in a row.</param>
/// <param name="capacity">The most rows.</param>
sealed class HeldRows<T>(DataViewSchema.Column column, int length, int capacity) : HeldRows
    where T : unmanaged, IFloatingPointIeee754<T>
{
    readonly VBuffer<T>[] rows = new VBuffer<T>[capacity];
    readonly T[]?[] dense = new T[capacity][];

    public ref VBuffer<T> this[int row] => ref rows[row];

    /// <summary>Rows that will be read as soon as they are filled, in arrays that suit that.</summary>
    public static HeldRows<T> Aligned(DataViewSchema.Column column, int length, int capacity)
    {
        var held = new HeldRows<T>(column, length, capacity);
        for (int row = 0; row < capacity && AlignedArray.IsOfUse<T>(length); row++)
            held.rows[row] = new VBuffer<T>(length, AlignedArray.Allocate<T>(length));
        return held;
    }

    public override RowCenter Center(int count) => count >= RowUnit.Group
        ? RowCenter.Of(Values(0), Values(1), Values(2), Values(3))
        : RowCenter.Of(Values(0), Values(0), Values(0), Values(0));

    public override bool AddTo(RowUnit unit, int count)
    {
        bool finite = true;
        int row = 0;
        for (; row <= count - RowUnit.Group; row += RowUnit.Group)
            finite &= AddGroupTo(unit, row);
        for (; row < count; row++)
            finite &= unit.Add(Values(row));
        return finite;
    }

    /// <summary>Adds the rows of a group from one on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool AddGroupTo(RowUnit unit, int row) =>
        unit.Add(Values(row), Values(row + 1), Values(row + 2), Values(row + 3));

    public override string? DescribeFault(int row, long position) => rows[row].Length == length
        ? NonFiniteRow.Describe(column, Values(row), position)
        : WrongLength.Describe(column.Name, rows[row].Length, position, length);

    public override void Exchange(int at, HeldRows other, int otherAt, int count)
    {
        VBuffer<T>[] others = ((HeldRows<T>)other).rows;
        for (int row = 0; row < count; row++)
            (rows[at + row], others[otherAt + row]) = (others[otherAt + row], rows[at + row]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    ReadOnlySpan<T> Values(int row)
    {
        ReadOnlySpan<T> values = rows[row].GetValues();
        return values.Length == length && rows[row].Length == length ? values : Dense(row);
    }

    /// <summary>The values of a sparse row. One of another length is taken for one that is not finite.</summary>
    T[] Dense(int row)
    {
        T[] values = dense[row] ??= new T[length];
        if (rows[row].Length == length)
            rows[row].CopyTo(values);
        else
            values.AsSpan().Fill(T.NaN);
        return values;
    }
}
