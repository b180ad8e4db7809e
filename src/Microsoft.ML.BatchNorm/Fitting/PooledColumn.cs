using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>One column of the rows of a pool.</summary>
abstract class PooledColumn(DataViewSchema.Column column)
{
    public DataViewSchema.Column Column => column;

    /// <summary>Room for so many rows of a column that is fitted, or masks.</summary>
    public static PooledColumn Of(DataViewRow row, DataViewSchema.Column column, int rows) => column.Type.RawType switch
    {
        var type when type == typeof(float) => new Scalars<float>(row, column, rows),
        var type when type == typeof(double) => new Scalars<double>(row, column, rows),
        var type when type == typeof(bool) => new Scalars<bool>(row, column, rows),
        var type when type == typeof(VBuffer<float>) => new Vectors<float>(row, column, rows),
        _ => new Vectors<double>(row, column, rows),
    };

    /// <summary>Puts the cursor's row to a place.</summary>
    public abstract void Read(int place);

    /// <summary>A getter of the row at the place that is current when it is called.</summary>
    public abstract Delegate Getter(Func<int> current);

    sealed class Scalars<T>(DataViewRow row, DataViewSchema.Column column, int rows) : PooledColumn(column)
    {
        readonly T[] values = new T[rows];
        readonly ValueGetter<T> getter = row.GetGetter<T>(column);

        public override void Read(int place) => getter(ref values[place]);

        public override Delegate Getter(Func<int> current) =>
            (ValueGetter<T>)((ref value) => value = values[current()]);
    }

    sealed class Vectors<T>(DataViewRow row, DataViewSchema.Column column, int rows) : PooledColumn(column)
    {
        readonly VBuffer<T>[] values = new VBuffer<T>[rows];
        readonly ValueGetter<VBuffer<T>> getter = row.GetGetter<VBuffer<T>>(column);

        public override void Read(int place) => getter(ref values[place]);

        public override Delegate Getter(Func<int> current) =>
            (ValueGetter<VBuffer<T>>)((ref value) => values[current()].CopyTo(ref value));
    }
}
