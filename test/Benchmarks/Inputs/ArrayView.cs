using System.Runtime.InteropServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// A column X of vectors that lie behind one another in one array. Its cursor does what every cursor must, which is to
/// copy a row into the buffer of the one who asks, and nothing else.
/// </summary>
sealed class ArrayView : IDataView
{
    readonly float[] values;
    readonly int columns;

    public ArrayView(float[] values, int columns)
    {
        (this.values, this.columns) = (values, columns);
        var builder = new DataViewSchema.Builder();
        builder.AddColumn("X", new VectorDataViewType(NumberDataViewType.Single, columns));
        Schema = builder.ToSchema();
    }

    public bool CanShuffle => false;

    public DataViewSchema Schema { get; }

    public long? GetRowCount() => values.Length / columns;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        new Cursor(this, columnsNeeded.Any());

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    sealed class Cursor(ArrayView view, bool isActive) : DataViewRowCursor
    {
        readonly float[] values = view.values;
        readonly int columns = view.columns;
        readonly long rows = view.values.Length / view.columns;
        long position = -1;

        public override long Position => position;

        public override long Batch => 0;

        public override DataViewSchema Schema => view.Schema;

        public override bool MoveNext()
        {
            if (position + 1 < rows)
            {
                position++;
                return true;
            }
            position = -1;
            return false;
        }

        public override bool IsColumnActive(DataViewSchema.Column column) => isActive;

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            (ValueGetter<TValue>)(Delegate)new ValueGetter<VBuffer<float>>(Copy);

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref value) => value = new DataViewRowId((ulong)position, 0);

        void Copy(ref VBuffer<float> row)
        {
            ReadOnlySpan<float> source = values.AsSpan((int)position * columns, columns);
            ReadOnlySpan<float> target = row.GetValues();
            if (row.IsDense && target.Length == columns)
            {
                source.CopyTo(MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(target), columns));
                return;
            }
            VBufferEditor<float> editor = VBufferEditor.Create(ref row, columns);
            source.CopyTo(editor.Values);
            row = editor.Commit();
        }
    }
}
