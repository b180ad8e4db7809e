using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Each epoch of an average takes the rows in an order that its seed decides.</summary>
[TestClass]
public class ShuffleTests
{
    const int Pool = 4096;

    static readonly BatchNormalizationOptions Exponential = BatchNormalizationOptions.Keras with { Momentum = 0.9 };

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(100)]
    [DataRow(Pool)]
    [DataRow(3 * Pool + 7)]
    public void Every_row_comes_once_and_whole(int count)
    {
        var view = new GeneratedView(3, count, Fill, counts: IsThird);
        List<long> order = Read(view, seed: 1);
        CollectionAssert.AreEquivalent(Enumerable.Range(0, count).Select(row => (long)row).ToArray(), order);
        Assert.AreEqual((1, 1), view.Cursors);
    }

    [TestMethod]
    public void The_order_is_another_for_each_seed_and_the_same_for_one()
    {
        List<long>[] orders = [.. new[] { 1, 1, 2, 3 }.Select(
            seed => Read(new GeneratedView(3, 20_000, Fill, counts: IsThird), seed))];
        CollectionAssert.AreEqual(orders[0], orders[1]);
        CollectionAssert.AreNotEqual(orders[0], orders[2]);
        CollectionAssert.AreNotEqual(orders[0], orders[3]);
        CollectionAssert.AreNotEqual(orders[2], orders[3]);
    }

    [TestMethod]
    public void Rows_are_far_from_their_place_and_never_a_pool_early()
    {
        List<long> order = Read(new GeneratedView(3, 20_000, Fill, counts: IsThird), seed: 1);
        Assert.IsTrue(order.Select((row, place) => Math.Abs(row - place)).Average() > Pool / 4);
        for (int place = 0; place < order.Count; place++)
            Assert.IsTrue(order[place] - place < Pool, $"Row {order[place]} came as number {place}.");
    }

    [TestMethod]
    public void Long_rows_make_a_small_pool()
    {
        List<long> order = Read(new GeneratedView(100_000, 300, Fill, counts: IsThird), seed: 1);
        for (int place = 0; place < order.Count; place++)
            Assert.IsTrue(order[place] - place < 64, $"Row {order[place]} came as number {place}.");
    }

    [TestMethod]
    public void A_view_that_can_shuffle_does_and_rows_keep_their_numbers()
    {
        float[][] rows = [.. Enumerable.Range(0, 20_000).Select(row => (float[])[row, 0])];
        IDataView view = View.ML.Data.Cache(Fits.Vectors(rows));
        Assert.IsTrue(view.CanShuffle);
        List<long> order = Read(view, seed: 1);
        CollectionAssert.AreEqual(order, Read(view, seed: 1));
        CollectionAssert.AreEquivalent(Enumerable.Range(0, 20_000).Select(row => (long)row).ToArray(), order);
        Assert.IsTrue(
            order.Select((row, place) => Math.Abs(row - place)).Average() > Pool, "The view was not asked to.");
    }

    [TestMethod]
    public void Columns_and_mask_of_a_row_stay_together()
    {
        float[][] rows = View.Floats(10_000, 3);
        bool[] mask = Sample.Mask(10_000, 3);
        IDataView view = MaskedRow.View(rows, i => mask[i]);
        BatchNormalizationState plain = Fit(view, shuffle: false), shuffled = Fit(view, shuffle: true);
        Assert.AreNotEqual(plain, shuffled);
        Agreement.Within(1e-12, plain.MovingMean, shuffled.MovingMean);

        // One batch: the order of the rows is all that may differ.
        BatchNormalizationState Fit(IDataView data, bool shuffle) => Fits.Fit(data, options =>
        {
            (options.Layer, options.Shuffle, options.Seed, options.BatchSize) = (Exponential, shuffle, 1, 20_000);
            options.MaskColumnName = "Counts";
        });
    }

    [TestMethod]
    public void An_error_names_the_row_s_place_in_the_data()
    {
        float[][] rows = View.Floats(9000, 3);
        rows[5432][2] = float.NaN;
        IDataView[] views =
            [View.ML.Data.Cache(Fits.Vectors(rows)), new GeneratedView(3, 9000, (row, x) => rows[row].CopyTo(x))];
        foreach (IDataView view in views)
        {
            var error = Assert.ThrowsExactly<InvalidOperationException>(() => Fits.Fit(view, Shuffle));
            StringAssert.Contains(error.Message, "Column 'X' is not finite: row 5432, slot 2 has NaN.");
        }
    }

    [TestMethod]
    [DataRow(100)]
    [DataRow(10_000)]
    public void A_cancelled_fit_stops_within_a_batch_and_its_cursor_is_disposed(int at)
    {
        var context = new MLContext(1);
        var view = new GeneratedView(3, rows: null, Fill, row =>
        {
            if (row == at)
                context.CancelExecution();
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => Fits.Estimator(Shuffle, context).Fit(view));
        Assert.IsTrue(view.Read <= at + 1 + 257, $"{view.Read} rows were read.");
        Assert.AreEqual((1, 1), view.Cursors);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(99)]
    [DataRow(10_000)]
    public void An_error_of_the_view_itself_passes_through(int row)
    {
        var expected = new IOException("The disk is gone.");
        var view = new GeneratedView(3, 20_000, Fill, at =>
        {
            if (at == row)
                throw expected;
        });
        Assert.AreSame(expected, Assert.ThrowsExactly<IOException>(() => Fits.Fit(view, Shuffle)));
        Assert.AreEqual((1, 1), view.Cursors);
    }

    [TestMethod]
    public void Every_epoch_reads_the_rows_once_and_disposes_its_cursor()
    {
        var view = new GeneratedView(3, 5000, Fill);
        Fits.Fit(view, options =>
        {
            Shuffle(options);
            options.Epochs = 3;
        });
        Assert.AreEqual((3, 3), view.Cursors);
        Assert.AreEqual(15_000, view.Read);
    }

    static void Shuffle(BatchNormalizationEstimator.Options options) =>
        (options.Layer, options.Shuffle, options.Seed) = (Exponential, true, 1);

    /// <summary>The numbers of the rows in their order, which the first value of each tells too.</summary>
    static List<long> Read(IDataView view, int seed)
    {
        IHost host = CatalogUtils.GetEnvironment(View.ML.Transforms).Register("Test");
        using ShuffledCursor cursor = ShuffledCursor.Open(host, view, [.. view.Schema], seed);
        ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(view.Schema["X"]);
        ValueGetter<bool>? mask = view is GeneratedView ? cursor.GetGetter<bool>(view.Schema["Counts"]) : null;
        List<long> order = [];
        VBuffer<float> row = default;
        while (cursor.MoveNext())
        {
            getter(ref row);
            Assert.AreEqual(row.GetItemOrDefault(0), cursor.Position);
            bool counts = cursor.Position % 3 == 0, told = counts;
            mask?.Invoke(ref told);
            Assert.AreEqual(counts, told);
            order.Add(cursor.Position);
        }
        Assert.AreEqual(-1, cursor.Position);
        Assert.IsFalse(cursor.MoveNext());
        return order;
    }

    static bool IsThird(long row) => row % 3 == 0;

    static void Fill(long row, Span<float> values)
    {
        values.Clear();
        values[0] = row;
    }
}
