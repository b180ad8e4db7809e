namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>A view's schema, without its rows: whoever opens a cursor gets an error that no test expects.</summary>
sealed class UnreadableView(DataViewSchema schema) : IDataView
{
    public UnreadableView(IDataView view)
        : this(view.Schema)
    {
    }

    public bool CanShuffle => true;

    public DataViewSchema Schema => schema;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        throw new AssertFailedException("The data was read.");

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        throw new AssertFailedException("The data was read.");
}
