using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Reads a column of every row.</summary>
static class ViewReading
{
    /// <summary>With the cursor that anybody gets who asks for one.</summary>
    public static void Over(IDataView view, string column)
    {
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema[column]]);
        Over(cursor, view.Schema[column]);
    }

    /// <summary>With one of a set of one, which ML.NET's transforms read on the caller's thread.</summary>
    public static void OnOneThread(IDataView view, string column)
    {
        using DataViewRowCursor cursor = view.GetRowCursorSet([view.Schema[column]], 1)[0];
        Over(cursor, view.Schema[column]);
    }

    static void Over(DataViewRowCursor cursor, DataViewSchema.Column column)
    {
        ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(column);
        VBuffer<float> row = default;
        while (cursor.MoveNext())
            getter(ref row);
    }
}
