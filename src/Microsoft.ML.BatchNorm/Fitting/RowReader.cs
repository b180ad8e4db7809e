using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>What copies the current row of a cursor into a dense array of rows.</summary>
static class RowReader
{
    /// <param name="row">The cursor.</param>
    /// <param name="column">One of its columns, a scalar or a vector of <paramref name="length"/>.</param>
    /// <param name="length">Values in a row.</param>
    /// <param name="target">Gives the array at the time of a copy.</param>
    /// <returns>Copies to the row of the given index.</returns>
    public static Action<int> Of<T>(DataViewRow row, DataViewSchema.Column column, int length, Func<T[]> target)
        where T : unmanaged
    {
        if (column.Type is not VectorDataViewType)
        {
            ValueGetter<T> scalar = row.GetGetter<T>(column);
            return at => scalar(ref target()[at]);
        }
        ValueGetter<VBuffer<T>> vector = row.GetGetter<VBuffer<T>>(column);
        VBuffer<T> value = default;
        return at =>
        {
            vector(ref value);
            Span<T> cells = target().AsSpan(at * length, length);
            if (value.IsDense)
                value.GetValues().CopyTo(cells);
            else
                value.CopyTo(cells);
        };
    }
}
