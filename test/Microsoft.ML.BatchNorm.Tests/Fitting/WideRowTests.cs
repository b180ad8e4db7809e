using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>
/// Rows that are long enough are summed where the cursor puts them, with all that is true of batches.
/// </summary>
[TestClass]
public class WideRowTests
{
    const int Columns = 21;

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    [DataRow(4)]
    [DataRow(10_001)]
    public void Dense_and_sparse_rows_in_turn(int count)
    {
        float[][] rows = View.Floats(count, Columns);
        VBuffer<float>[] mixed =
            [.. Sparse.Of(rows).Select((row, i) => i % 5 < 2 ? new VBuffer<float>(Columns, rows[i]) : row)];
        var expected = new BatchStatistics(Columns);
        expected.Add(ChannelLayout.Features(count, Columns), (float[])[.. rows.SelectMany(row => row)]);
        BatchNormalizationState state = Fits.Fit(View.Vectors(mixed, Columns), _ => { });
        Agreement.Within(1e-14, expected.Mean, state.MovingMean, "mean");
        double[] variance = [.. Enumerable.Range(0, Columns).Select(channel => expected.Variance(channel))];
        Agreement.Within(1e-13, variance, state.MovingVariance, "variance");
        Agreement.SameBits(expected.Count, state.GetPopulation()!.Count, "count");
    }

    [TestMethod]
    public void An_engine_that_takes_batches_agrees_to_rounding()
    {
        IDataView view = Fits.Vectors(View.Floats(20_000, Columns));
        BatchNormalizationState rows = Fits.Fit(view, _ => { });
        BatchNormalizationState batches = Fits.Fit(view, options => options.Engine = new BatchEngine());
        Agreement.Within(1e-14, rows.MovingMean, batches.MovingMean);
        Agreement.Within(1e-13, rows.MovingVariance, batches.MovingVariance);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public void An_engine_that_takes_statistics_gets_those_of_the_rows_with_every_bit(int threads)
    {
        IDataView view = new CursorSetView(
            Fits.Vectors(View.Floats(20_000, Columns)), [64], (batch, cursors) => batch % cursors);
        var engine = new BatchEngine { TakesStatistics = true };
        Assert.AreEqual(
            Fits.Fit(view, _ => { }),
            Fits.Fit(view, options => (options.Engine, options.NumberOfThreads) = (engine, threads)));
        // Shards of 8192 rows.
        Assert.AreEqual((0, 3), (engine.Batches, engine.Statistics));
    }

    [TestMethod]
    public void An_engine_that_takes_statistics_gets_batches_where_values_or_batches_count()
    {
        IDataView view = Fits.Vectors(View.Floats(1000, Columns));
        foreach (BatchNormalizationOptions layer in (BatchNormalizationOptions[])
            [new() { NonFinite = NonFinite.Ignore }, new() { MovingStatistics = MovingStatistics.Exponential }])
        {
            var engine = new BatchEngine { TakesStatistics = true };
            Assert.AreEqual(
                Fits.Fit(view, options => options.Layer = layer),
                Fits.Fit(view, options => (options.Layer, options.Engine) = (layer, engine)));
            Assert.AreEqual(0, engine.Statistics);
            Assert.IsTrue(engine.Batches > 0);
        }
    }

    [TestMethod]
    public void An_engine_that_says_nothing_takes_no_statistics()
    {
        using IStatisticsFit fit = new BatchEngine.Silent();
        Assert.IsFalse(fit.TakesStatistics);
        Assert.ThrowsExactly<NotSupportedException>(() => fit.Add(new BatchStatistics(1)));
    }

    [TestMethod]
    public void Rows_that_a_mask_hides_leave_every_bit()
    {
        float[][] rows = View.Floats(20_000, Columns);
        bool[] mask = Sample.Mask(rows.Length, 3);
        Assert.AreEqual(
            Fits.Fit(Fits.Vectors([.. rows.Where((_, i) => mask[i])]), _ => { }),
            Fits.Fit(MaskedRow.View(rows, i => mask[i]), options => options.MaskColumnName = "Counts"));
    }

    [TestMethod]
    public void Columns_beside_each_other_have_the_bits_that_each_has_alone()
    {
        IDataView view = View.ML.Transforms.CopyColumns("Z", "X").Append(View.ML.Transforms.NormalizeMinMax("Z"))
            .Fit(Fits.Vectors(View.Floats(1000, Columns))).Transform(Fits.Vectors(View.Floats(1000, Columns)));
        var both = View.ML.Transforms.BatchNormalization(
            [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("Z")]).Fit(view);
        Assert.AreEqual(View.ML.Transforms.BatchNormalization("Y", "X").Fit(view).GetState("Y"), both.GetState("Y"));
        Assert.AreEqual(View.ML.Transforms.BatchNormalization("Z").Fit(view).GetState("Z"), both.GetState("Z"));
    }

    [TestMethod]
    public void A_value_that_is_not_finite_is_named()
    {
        foreach (int row in (int[])[0, 3, 4, 50, 96, 97])
        {
            float[][] rows = View.Floats(98, Columns);
            (rows[row][Columns - 1], rows[row][7]) = (float.NaN, float.NegativeInfinity);
            string message = $"Column 'X' is not finite: row {row}, slot 7 has -Infinity.";
            AssertError(message, () => Fits.Fit(Fits.Vectors(rows), _ => { }));
            AssertError(message, () => Fits.Fit(View.Vectors(Sparse.Of(rows), Columns), _ => { }), (7 + row) % 3 != 0);
            AssertError(message, () => Fits.Fit(
                MaskedRow.View(rows, i => i % 2 == row % 2), options => options.MaskColumnName = "Counts"));
            double[][] wide = [.. rows.Select(values => Sample.Widen(values))];
            AssertError(message, () => Fits.Fit(View.Vectors(View.Dense(wide), Columns), _ => { }));
            AssertError(message, () => Fits.Fit(Fits.Vectors(rows), options => options.Columns =
                [new InputOutputColumnPair("Y", "X"), new InputOutputColumnPair("Z", "X")]));
        }
    }

    [TestMethod]
    public void Sums_beyond_a_double_are_an_error()
    {
        double[][] rows = View.Doubles(10, Columns);
        rows[8][3] = 1e300;
        AssertError(
            "Column 'X': the variance of slot 3 overflows a double",
            () => Fits.Fit(View.Vectors(View.Dense(rows), Columns), _ => { }));
    }

    [TestMethod]
    public void Values_that_are_ignored_do_not_count()
    {
        float[][] rows = View.Floats(1000, Columns);
        rows[70][3] = float.NaN;
        BatchNormalizationState state = Fits.Fit(Fits.Vectors(rows), options =>
            options.Layer = options.Layer with { NonFinite = NonFinite.Ignore });
        Assert.AreEqual(999, state.GetPopulation()!.Count[3]);
        Assert.AreEqual(1000, state.GetPopulation()!.Count[4]);
    }

    [TestMethod]
    public void A_fit_goes_on_from_another()
    {
        float[][] rows = View.Floats(2000, Columns);
        var estimator = Fits.Estimator(_ => { });
        BatchNormalizationState state =
            estimator.Fit(Fits.Vectors(rows[700..]), estimator.Fit(Fits.Vectors(rows[..700]))).GetState("Y");
        BatchNormalizationState whole = Fits.Fit(Fits.Vectors(rows), _ => { });
        Agreement.Within(1e-14, whole.MovingMean, state.MovingMean);
        Agreement.Within(1e-13, whole.MovingVariance, state.MovingVariance);
        Agreement.SameBits(whole.GetPopulation()!.Count, state.GetPopulation()!.Count);
    }

    [TestMethod]
    public void A_cancelled_fit_stops_within_256_rows()
    {
        var context = new MLContext(1);
        var view = new GeneratedView(Columns, rows: null, (row, x) => x.Fill(row), row =>
        {
            if (row == 1050)
                context.CancelExecution();
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => Fits.Estimator(_ => { }, context).Fit(view));
        Assert.IsTrue(view.Read <= 1051 + 256, $"{view.Read} rows were read.");
        Assert.AreEqual((1, 1), view.Cursors);
    }

    [TestMethod]
    public void No_rows_are_an_error() => AssertError(
        "The data has no rows", () => Fits.Fit(new GeneratedView(Columns, 0, (_, _) => { }), _ => { }));

    static void AssertError(string message, Func<BatchNormalizationState> fit, bool expected = true)
    {
        if (expected)
            StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => fit()).Message, message);
    }

    /// <summary>An engine that is not the library's own, and counts what it is given.</summary>
    sealed class BatchEngine : IStatisticsEngine
    {
        public bool TakesStatistics { get; init; }

        public int Batches { get; private set; }

        public int Statistics { get; private set; }

        public IStatisticsFit StartFit(BatchNormalizationOptions options, BatchNormalizationState state) =>
            new Fit(this, new CpuEngine().StartFit(options, state));

        sealed class Fit(BatchEngine engine, IStatisticsFit fit) : IStatisticsFit
        {
            public bool TakesStatistics => engine.TakesStatistics;

            public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default)
            {
                engine.Batches++;
                fit.Add(layout, x, mask);
            }

            public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default)
            {
                engine.Batches++;
                fit.Add(layout, x, mask);
            }

            public void Add(BatchStatistics batch)
            {
                engine.Statistics++;
                fit.Add(batch);
            }

            public BatchNormalizationState Complete() => fit.Complete();

            public void Dispose() => fit.Dispose();
        }

        /// <summary>A fit that implements what it must and nothing else.</summary>
        public sealed class Silent : IStatisticsFit
        {
            public void Add(ChannelLayout layout, ReadOnlySpan<float> x, ReadOnlySpan<bool> mask = default)
            {
            }

            public void Add(ChannelLayout layout, ReadOnlySpan<double> x, ReadOnlySpan<bool> mask = default)
            {
            }

            public BatchNormalizationState Complete() => BatchNormalization.Initialize(new(), 1);

            public void Dispose()
            {
            }
        }
    }
}
