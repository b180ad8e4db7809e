using System.Numerics;
using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>A few rows of one column, each in the buffer that a cursor's getter filled.</summary>
abstract class RowWindow
{
    /// <summary>Reads a cursor's current row into one of the buffers.</summary>
    /// <param name="row">The index of the buffer.</param>
    /// <param name="getter">The cursor's getter of this column.</param>
    public abstract void Fill(int row, Delegate getter);

    /// <summary>The centers of a shard that begins with these rows, of which there are <paramref name="count"/>.</summary>
    public abstract RowCenter Center(int count);

    /// <summary>Adds the first rows; false if a value is not finite or a row has another length.</summary>
    public abstract bool AddTo(RowUnit unit, int count);

    /// <summary>Says which value of a row is not finite, or that the row has another length; null if it is right.</summary>
    public abstract string? DescribeFault(int row, long position);

    /// <summary>Exchanges rows with those of another window.</summary>
    public abstract void Exchange(int at, RowWindow other, int otherAt, int count);
}

/// <summary>A <see cref="RowWindow"/> of one type of values.</summary>
/// <param name="column">The column.</param>
/// <param name="length">The number of values in a row.</param>
/// <param name="capacity">The most rows.</param>
sealed class RowWindow<T>(DataViewSchema.Column column, int length, int capacity) : RowWindow
    where T : unmanaged, IFloatingPointIeee754<T>
{
    readonly VBuffer<T>[] rows = new VBuffer<T>[capacity];
    readonly T[]?[] dense = new T[capacity][];

    public ref VBuffer<T> this[int row] => ref rows[row];

    /// <summary>A window whose rows are read as soon as they are filled, in arrays that make this fast.</summary>
    public static RowWindow<T> Aligned(DataViewSchema.Column column, int length, int capacity)
    {
        var window = new RowWindow<T>(column, length, capacity);
        for (int row = 0; row < capacity && AlignedArray.IsOfUse<T>(length); row++)
            window.rows[row] = new VBuffer<T>(length, AlignedArray.Allocate<T>(length));
        return window;
    }

    public override void Fill(int row, Delegate getter) => ((ValueGetter<VBuffer<T>>)getter)(ref rows[row]);

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

    /// <summary>Adds a group of rows, beginning with <paramref name="row"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool AddGroupTo(RowUnit unit, int row) =>
        unit.Add(Values(row), Values(row + 1), Values(row + 2), Values(row + 3));

    public override string? DescribeFault(int row, long position) => rows[row].Length == length
        ? RowFaults.NonFinite(column, Values(row), position)
        : RowFaults.WrongLength(column.Name, rows[row].Length, position, length);

    public override void Exchange(int at, RowWindow other, int otherAt, int count)
    {
        VBuffer<T>[] others = ((RowWindow<T>)other).rows;
        for (int row = 0; row < count; row++)
            (rows[at + row], others[otherAt + row]) = (others[otherAt + row], rows[at + row]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    ReadOnlySpan<T> Values(int row)
    {
        ReadOnlySpan<T> values = rows[row].GetValues();
        return values.Length == length && rows[row].Length == length ? values : Dense(row);
    }

    /// <summary>The values of a sparse row. A row of another length becomes NaN, so that adding it fails.</summary>
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
