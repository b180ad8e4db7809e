using System.Runtime.CompilerServices;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Copies one column of a cursor's rows into a dense array of rows.</summary>
abstract class RowReader
{
    /// <summary>Copies the cursor's current row to a row of the array.</summary>
    public abstract void Read(int row);

    /// <summary>
    /// Moves the cursor on, and copies and counts its rows, from one row of the array up to another or to the end of
    /// the data. Returns the row of the array after the last one copied.
    /// </summary>
    public abstract int Read(DataViewRowCursor cursor, int from, int to, RowCount rows);

    /// <param name="host">Reports a row that is not as long as its type says.</param>
    /// <param name="row">The cursor.</param>
    /// <param name="column">One of its columns, a scalar or a vector of <paramref name="length"/>.</param>
    /// <param name="length">The number of values in a row.</param>
    public static RowReader<T> Of<T>(IExceptionContext host, DataViewRow row, DataViewSchema.Column column, int length)
        where T : unmanaged =>
        column.Type is VectorDataViewType
            ? new VectorReader<T>(host, row, column, length)
            : new ScalarReader<T>(row.GetGetter<T>(column));

    /// <summary>An array for the rows of a batch.</summary>
    /// <param name="host">Reports a batch that no array can hold.</param>
    /// <param name="batchSize">The number of rows in a batch.</param>
    /// <param name="extra">The number of rows that are kept in addition.</param>
    /// <param name="length">The number of values in a row.</param>
    public static T[] Allocate<T>(IExceptionContext host, int batchSize, int extra, int length)
    {
        long values = ((long)batchSize + extra) * length;
        return values <= Array.MaxLength
            ? new T[values]
            : throw host.ExceptUserArg(
                "BatchSize",
                $"BatchSize must be at most {Array.MaxLength / length - extra} where a row has {length} values, not " +
                $"{batchSize}.");
    }

    sealed class ScalarReader<T>(ValueGetter<T> getter) : RowReader<T> where T : unmanaged
    {
        public override void Read(int row) => getter(ref Target[row]);

        public override int Read(DataViewRowCursor cursor, int from, int to, RowCount rows)
        {
            for (; from < to && cursor.MoveNext(); from++)
            {
                getter(ref Target[from]);
                rows.Increment();
            }
            return from;
        }
    }

    sealed class VectorReader<T>(IExceptionContext host, DataViewRow source, DataViewSchema.Column column, int length)
        : RowReader<T> where T : unmanaged
    {
        readonly ValueGetter<VBuffer<T>> getter = source.GetGetter<VBuffer<T>>(column);
        VBuffer<T> value;

        public override void Read(int row)
        {
            getter(ref value);
            Copy(row);
        }

        public override int Read(DataViewRowCursor cursor, int from, int to, RowCount rows)
        {
            for (; from < to && cursor.MoveNext(); from++)
            {
                getter(ref value);
                Copy(from);
                rows.Increment();
            }
            return from;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        void Copy(int row)
        {
            if (value.Length != length)
                throw host.Except(RowFaults.WrongLength(column.Name, value.Length, source.Position, length));
            Span<T> cells = Target.AsSpan(row * length, length);
            if (value.IsDense)
                value.GetValues().CopyTo(cells);
            else
                value.CopyTo(cells);
        }
    }
}

/// <summary>A <see cref="RowReader"/> with its array.</summary>
abstract class RowReader<T> : RowReader
{
    /// <summary>The array of rows; another one may be set at any time.</summary>
    public T[] Target { get; set; } = [];
}
