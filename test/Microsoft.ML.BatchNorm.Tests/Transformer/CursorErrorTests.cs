using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>A source whose getters cannot be had leaves no cursor open.</summary>
[TestClass]
public class CursorErrorTests
{
    [TestMethod]
    public void A_cursor_that_cannot_be_made_closes_the_source_s()
    {
        var source = new GetterlessView();
        IDataView output = Layers.Transformer(1).Transform(source);
        Assert.ThrowsExactly<IOException>(() => output.GetRowCursor(output.Schema));
        Assert.AreEqual((1, 1), (source.Opened, source.Disposed));
        Assert.ThrowsExactly<IOException>(() => output.GetRowCursorSet(output.Schema, 3));
        Assert.AreEqual((4, 4), (source.Opened, source.Disposed));
    }

    [TestMethod]
    public void A_fit_that_cannot_begin_closes_its_cursor()
    {
        var source = new GetterlessView();
        Assert.ThrowsExactly<IOException>(() => View.ML.Transforms.BatchNormalization("Y", "X").Fit(source));
        Assert.AreEqual((1, 1), (source.Opened, source.Disposed));
    }

    sealed class GetterlessView : IDataView
    {
        public int Opened { get; private set; }

        public int Disposed { get; private set; }

        public bool CanShuffle => false;

        public DataViewSchema Schema { get; } = View.Scalars(1f).Schema;

        public long? GetRowCount() => null;

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
        {
            Opened++;
            return new Cursor(this);
        }

        public DataViewRowCursor[] GetRowCursorSet(
            IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
            [.. Enumerable.Range(0, n).Select(_ => GetRowCursor(columnsNeeded, rand))];

        sealed class Cursor(GetterlessView view) : DataViewRowCursor
        {
            bool isDisposed;

            public override long Position => -1;

            public override long Batch => 0;

            public override DataViewSchema Schema => view.Schema;

            public override bool IsColumnActive(DataViewSchema.Column column) => true;

            public override bool MoveNext() => false;

            public override ValueGetter<DataViewRowId> GetIdGetter() => (ref value) => value = default;

            public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
                throw new IOException("The disk is gone.");

            protected override void Dispose(bool disposing)
            {
                if (!isDisposed)
                    view.Disposed++;
                isDisposed = true;
                base.Dispose(disposing);
            }
        }
    }
}
