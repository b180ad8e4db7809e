using System.Diagnostics;
using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>Whatever ends a fit, its cursor is disposed, no thread reads on, and nothing is left behind.</summary>
[TestClass]
public class CancellationTests
{
    const int BatchSize = 100;

    static readonly BatchNormalizationOptions Exponential = BatchNormalizationOptions.Keras;

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
    [DataRow(MovingStatistics.Population, 1)]
    [DataRow(MovingStatistics.Population, 2)]
    [DataRow(MovingStatistics.Exponential, 1)]
    [DataRow(MovingStatistics.Exponential, 2)]
    public void A_fit_stops_by_its_token_and_says_by_which(MovingStatistics kind, int threads)
    {
        using var source = new CancellationTokenSource();
        var view = new GeneratedView(16, rows: null, Fill, row =>
        {
            if (row == 1050)
                source.Cancel();
        });
        var context = new MLContext(1);
        var error = Assert.ThrowsExactly<OperationCanceledException>(
            () => Estimator(context, kind, threads, source.Token).Fit(view));
        Assert.AreEqual(source.Token, error.CancellationToken);
        Assert.IsTrue(view.Read is > 1050 and <= 1051 + 512, $"{view.Read} rows were read.");
        AssertLeftAlone(view);
        // The context and another fit of it go on.
        Estimator(context, kind, threads).Fit(Fits.Vectors(View.Floats(300, 16)));
    }

    [TestMethod]
    public void A_fit_on_a_set_of_cursors_stops_by_its_token()
    {
        using var source = new CancellationTokenSource();
        int read = 0;
        var rows = new GeneratedView(16, 1_000_000, Fill, _ =>
        {
            if (Interlocked.Increment(ref read) == 1050)
                source.Cancel();
        });
        var view = new CursorSetView(rows, [64], (batch, cursors) => batch % cursors);
        Assert.ThrowsExactly<OperationCanceledException>(
            () => Estimator(new MLContext(1), MovingStatistics.Population, 2, source.Token).Fit(view));
        Assert.IsTrue(read < 100_000, $"{read} rows were read.");
    }

    [TestMethod]
    public void With_a_token_that_is_canceled_nothing_is_read()
    {
        var canceled = new CancellationToken(canceled: true);
        var view = new UnreadableView(Fits.Vectors(View.Floats(3, 3)));
        foreach (MovingStatistics kind in Enum.GetValues<MovingStatistics>())
        {
            Assert.ThrowsExactly<OperationCanceledException>(
                () => Estimator(new MLContext(1), kind, token: canceled).Fit(view));
        }
        BatchNormalizationTransformer fitted = Estimator(new MLContext(1)).Fit(Fits.Vectors(View.Floats(300, 3)));
        Assert.ThrowsExactly<OperationCanceledException>(() => fitted.FineTune(view, canceled));
    }

    [TestMethod]
    public void A_token_changes_no_bit_and_does_not_stay_with_what_was_fitted()
    {
        IDataView view = Fits.Vectors(View.Floats(600, 3));
        using var source = new CancellationTokenSource();
        BatchNormalizationState expected = Shuffled(default).GetState("Y");
        BatchNormalizationTransformer fitted = Shuffled(source.Token);
        Assert.AreEqual(expected, fitted.GetState("Y"));
        source.Cancel();
        Assert.AreEqual(2 * expected.BatchesSeen, fitted.FineTune(view).GetState("Y").BatchesSeen);

        BatchNormalizationTransformer Shuffled(CancellationToken token) => Fits.Estimator(
            options => (options.Layer, options.BatchSize, options.Shuffle, options.Epochs, options.CancellationToken) =
                (Exponential, BatchSize, true, 2, token),
            new MLContext(1)).Fit(view);
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

    static BatchNormalizationEstimator Estimator(
        MLContext context, MovingStatistics kind = MovingStatistics.Exponential, int? threads = null,
        CancellationToken token = default, params string[] outputs) =>
        Fits.Estimator(
            options =>
            {
                if (outputs.Length > 0)
                    options.Columns = Array.ConvertAll(outputs, output => new InputOutputColumnPair(output, "X"));
                options.Layer = Exponential with { MovingStatistics = kind };
                options.BatchSize = BatchSize;
                options.NumberOfThreads = threads;
                options.CancellationToken = token;
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
