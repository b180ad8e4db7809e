using System.Diagnostics;
using Microsoft.ML.BatchNorm.Tests.Transformer;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Whatever ends a fit, its cursor is disposed, no thread reads on, and nothing is left behind.</summary>
[TestClass]
public class CancellationTests
{
    const int BatchSize = 100;

    static readonly BatchNormalizationOptions Exponential = new();

    [TestMethod]
    [DataRow(1, "Y")]
    [DataRow(2, "Y")]
    [DataRow(1, "Y", "Z")]
    [DataRow(2, "Y", "Z")]
    public void A_fit_cancelled_from_its_own_thread_stops_within_a_batch(int threads, params string[] outputs)
    {
        var context = new MLContext(1);
        var view = new GeneratedView(3, rows: null, Fill, row =>
        {
            if (row == 1050)
                context.CancelExecution();
        });
        Assert.ThrowsExactly<OperationCanceledException>(
            () => Estimator(context, threads: threads, outputs: outputs).Fit(view));
        Assert.IsTrue(view.Read is > 1050 and <= 1051 + BatchSize + 1, $"{view.Read} rows were read.");
        AssertLeftAlone(view);
    }

    [TestMethod]
    public void A_fit_cancelled_from_another_thread_stops()
    {
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            var context = new MLContext(1);
            using var reading = new ManualResetEventSlim();
            var view = new GeneratedView(3, rows: null, Fill, row =>
            {
                if (row == 50_000)
                    reading.Set();
            });
            Task fit = Task.Run(() => Estimator(context, kind).Fit(view));
            Assert.IsTrue(reading.Wait(TimeSpan.FromSeconds(30)));
            context.CancelExecution();
            var error = Assert.ThrowsExactly<AggregateException>(() => fit.Wait(TimeSpan.FromSeconds(30)));
            Assert.IsInstanceOfType<OperationCanceledException>(error.InnerException);
            AssertLeftAlone(view);
        }
    }

    [TestMethod]
    public void A_fit_whose_rows_are_all_hidden_can_be_cancelled()
    {
        var context = new MLContext(1);
        var view = new GeneratedView(3, rows: null, Fill, counts: _ => false, onRow: row =>
        {
            if (row == 1050)
                context.CancelExecution();
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => Fits.Estimator(
            options => (options.Layer, options.BatchSize, options.MaskColumnName) = (Exponential, BatchSize, "Counts"),
            context).Fit(view));
        AssertLeftAlone(view);
    }

    [TestMethod]
    public void Another_context_fits_as_before()
    {
        float[][] rows = View.Floats(300, 3);
        BatchNormalizationState before = Estimator(new MLContext(1)).Fit(Fits.Vectors(rows)).GetState("Y");
        var cancelled = new MLContext(1);
        var estimator = Estimator(cancelled);
        cancelled.CancelExecution();
        Assert.ThrowsExactly<OperationCanceledException>(() => estimator.Fit(Fits.Vectors(rows)));
        Assert.AreEqual(before, Estimator(new MLContext(1)).Fit(Fits.Vectors(rows)).GetState("Y"));
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(99)]
    [DataRow(1050)]
    public void An_error_of_the_view_itself_passes_through(int row)
    {
        var expected = new IOException("The disk is gone.");
        var view = new GeneratedView(3, 5000, Fill, at =>
        {
            if (at == row)
                throw expected;
        });
        Assert.AreSame(expected, Assert.ThrowsExactly<IOException>(() => Estimator(new MLContext(1)).Fit(view)));
        AssertLeftAlone(view);
    }

    [TestMethod]
    public void A_value_that_is_not_finite_ends_the_reading_within_two_batches()
    {
        var view = new GeneratedView(3, rows: null, (row, x) => x.Fill(row == 1050 ? float.NaN : 1));
        Assert.ThrowsExactly<InvalidOperationException>(() => Estimator(new MLContext(1)).Fit(view));
        Assert.IsTrue(view.Read <= 1051 + 2 * BatchSize + 1, $"{view.Read} rows were read.");
        AssertLeftAlone(view);
    }

    [TestMethod]
    public void A_fit_that_succeeds_disposes_its_cursors_too()
    {
        var view = new GeneratedView(3, 1000, Fill);
        Fits.Fit(view, options => (options.Layer, options.Epochs) = (Exponential, 3));
        Assert.AreEqual((3, 3), view.Cursors);
        Assert.AreEqual(3000, view.Read);
    }

    static Transforms.BatchNormalizationEstimator Estimator(
        MLContext context, MovingStatistics kind = MovingStatistics.Exponential, int? threads = null,
        params string[] outputs) =>
        Fits.Estimator(
            options =>
            {
                if (outputs.Length > 0)
                    options.Columns = Array.ConvertAll(outputs, output => new InputOutputColumnPair(output, "X"));
                options.Layer = Exponential with { MovingStatistics = kind };
                options.BatchSize = BatchSize;
                options.NumberOfThreads = threads;
            },
            context);

    static void AssertLeftAlone(GeneratedView view)
    {
        Assert.AreEqual((1, 1), view.Cursors);
        long read = view.Read;
        var watch = Stopwatch.StartNew();
        while (watch.ElapsedMilliseconds < 20)
            Assert.AreEqual(read, view.Read, "Rows are read on.");
    }

    static void Fill(long row, Span<float> values)
    {
        for (int slot = 0; slot < values.Length; slot++)
            values[slot] = row % 7 * slot;
    }
}
