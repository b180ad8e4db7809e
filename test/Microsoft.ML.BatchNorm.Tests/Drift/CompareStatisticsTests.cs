using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Drift;

[TestClass]
public class CompareStatisticsTests
{
    [TestMethod]
    public void The_report_is_that_of_the_core_on_all_rows_in_one_pass()
    {
        float[][] train = View.Floats(5000, 7, seed: 1), rows = View.Floats(3001, 7, seed: 2);
        BatchNormalizationTransformer layer = Fits.Estimator(_ => { }).Fit(Fits.Vectors(train));
        var view = new GeneratedView(7, rows.Length, (row, values) => rows[row].CopyTo(values));
        DriftReport report = layer.CompareStatistics(view)["Y"];
        Assert.AreEqual((3001, (1, 1)), (view.Read, view.Cursors));

        var expected = new DriftStatistics(layer.GetState("Y"));
        expected.Add(ChannelLayout.Features(rows.Length, 7), [.. rows.SelectMany(row => row)]);
        foreach ((ChannelDrift own, ChannelDrift core) in report.Channels.Zip(expected.Compare().Channels))
        {
            Assert.AreEqual(
                (core.Channel, core.Count, core.TrainingCount), (own.Channel, own.Count, own.TrainingCount));
            Assert.AreEqual(core.Statistic, own.Statistic, 1e-9);
            Assert.AreEqual(core.VarianceStatistic, own.VarianceStatistic, 1e-9);
            Assert.AreEqual(core.AdjustedPValue, own.AdjustedPValue, 1e-9);
        }
    }

    [TestMethod]
    public void The_report_has_the_same_bits_for_any_number_of_threads_and_for_sparse_rows()
    {
        float[][] train = View.Floats(5000, 40, seed: 1);
        float[][] rows = View.Floats(9000, 40, seed: 2);
        IDataView sparse = View.Vectors(Sparse.Of(rows), 40);
        string one = Report(1, Fits.Vectors(rows));
        Assert.AreEqual(one, Report(4, Fits.Vectors(rows)));
        Assert.AreEqual(one, Report(4, sparse));

        string Report(int threads, IDataView view) => string.Join(
            "\n",
            Fits.Estimator(options => options.NumberOfThreads = threads).Fit(Fits.Vectors(train))
                .CompareStatistics(view)["Y"].Channels);
    }

    [TestMethod]
    public void Channels_are_named_by_slots_and_columns_by_their_outputs()
    {
        VBuffer<float>[] rows = View.Dense(View.Floats(100, 2));
        IDataView view = View.Vectors(rows, [2], ["width", "height"]);
        BatchNormalizationTransformer layer = View.ML.Transforms.BatchNormalization(
            [new InputOutputColumnPair("A", "X"), new InputOutputColumnPair("B", "X")]).Fit(view);
        IReadOnlyDictionary<string, DriftReport> reports = layer.CompareStatistics(view);
        CollectionAssert.AreEquivalent((string[])["A", "B"], reports.Keys.ToArray());
        CollectionAssert.AreEqual(
            (string[])["width", "height"], reports["B"].Channels.Select(channel => channel.Name).ToArray());
        Assert.IsFalse(reports["A"].IsDrift());
    }

    [TestMethod]
    public void Images_are_compared_channel_by_channel_with_a_row_as_one_observation()
    {
        float[][] rows = View.Floats(30, 2 * 3 * 4);
        BatchNormalizationTransformer layer =
            Fits.Estimator(options => options.Axis = 1).Fit(View.Vectors(View.Dense(rows), 2, 3, 4));
        DriftReport same = layer.CompareStatistics(View.Vectors(View.Dense(rows), 2, 3, 4))["Y"];
        Assert.AreEqual((2, 30 * 12.0, 1), (same.Channels.Count, same.Channels[0].Count, same.PValue));
        // 12 equal values a row would have a twelfth of the error, if each counted for itself.
        float[][] moved = [.. rows.Select(row => Array.ConvertAll(row, x => x + 1))];
        ChannelDrift worst = layer.CompareStatistics(View.Vectors(View.Dense(moved), 2, 3, 4))["Y"].Channels[0];
        double error = Math.Sqrt(2 * worst.Variance / 30);
        Assert.AreEqual(1 / error, worst.Statistic, 2e-2);
    }

    [TestMethod]
    public void A_frozen_average_is_compared_too_and_its_count_is_not_known()
    {
        float[][] rows = View.Floats(2000, 3);
        BatchNormalizationTransformer layer =
            Fits.Estimator(new BatchNormalizationOptions { Momentum = 0.5 }).Fit(Fits.Vectors(rows)).Freeze();
        DriftReport report = layer.CompareStatistics(Fits.Vectors(rows))["Y"];
        Assert.IsFalse(report.HasTrainingCounts);
        Assert.IsTrue(report.Channels.All(channel => channel.Count == 2000));
    }

    [TestMethod]
    public void Rows_that_the_mask_column_hides_do_not_count_and_without_that_column_all_do()
    {
        float[][] rows = View.Floats(300, 2);
        var train = new GeneratedView(2, 300, Fill, counts: row => row % 3 == 0);
        BatchNormalizationTransformer layer = Fits.Estimator(options => options.MaskColumnName = "Counts").Fit(train);
        Assert.AreEqual(100, layer.CompareStatistics(train)["Y"].Channels[0].Count);
        Assert.AreEqual(300, layer.CompareStatistics(Fits.Vectors(rows))["Y"].Channels[0].Count);

        void Fill(long row, Span<float> values) => rows[row].CopyTo(values);
    }

    [TestMethod]
    public void Values_that_are_not_finite_are_an_error_or_do_not_count_as_the_layer_has_it()
    {
        float[][] rows = [[1, 2], [3, float.NaN], [4, 5]];
        BatchNormalizationTransformer strict = Fits.Estimator(_ => { }).Fit(Fits.Vectors([[1, 2], [3, 4]]));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => strict.CompareStatistics(Fits.Vectors(rows)));
        StringAssert.Contains(error.Message, "Column 'X' is not finite: row 1, slot 1 has NaN.");
        BatchNormalizationTransformer ignoring = Fits.Estimator(
            options => options.Layer = options.Layer with { NonFinite = NonFinite.Ignore }).Fit(Fits.Vectors(rows));
        DriftReport report = ignoring.CompareStatistics(Fits.Vectors(rows))["Y"];
        Assert.AreEqual(2, report.Channels.Single(channel => channel.Channel == 1).Count);
    }

    [TestMethod]
    public void A_view_that_does_not_fit_is_the_error_that_it_is_for_fitting()
    {
        BatchNormalizationTransformer layer = Fits.Estimator(_ => { }).Fit(Fits.Vectors([[1, 2], [3, 4]]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => layer.CompareStatistics(View.Scalars(1f)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => layer.CompareStatistics(Fits.Vectors([[1, 2, 3]])));
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => layer.CompareStatistics(new GeneratedView(2, 0, (_, _) => { })));
        StringAssert.Contains(error.Message, "The data has no rows");
        Assert.ThrowsExactly<ArgumentNullException>(() => layer.CompareStatistics(null!));
    }

    [TestMethod]
    public void A_comparison_is_cancelled_with_its_context()
    {
        var context = new MLContext(1);
        BatchNormalizationTransformer layer = Fits.Estimator(_ => { }, context).Fit(Fits.Vectors([[1, 2], [3, 4]]));
        var view = new GeneratedView(2, rows: null, (row, values) => values.Fill(row), row =>
        {
            if (row == 1050)
                context.CancelExecution();
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => layer.CompareStatistics(view));
        Assert.AreEqual((1, 1), view.Cursors);
    }
}
