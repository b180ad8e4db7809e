using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;
using Options = Microsoft.ML.Transforms.BatchNormalizationEstimator.Options;

namespace Microsoft.ML.BatchNorm.Tests.Drift;

/// <summary>Fits that keep histograms.</summary>
[TestClass]
public class KeepHistogramsTests
{
    static readonly float[][] rows = View.Floats(3001, 9, seed: 1), more = View.Floats(500, 9, seed: 2);

    [TestMethod]
    public void Off_nothing_is_counted_and_the_view_is_read_once()
    {
        var view = new GeneratedView(9, rows.Length, (row, values) => rows[row].CopyTo(values));
        Assert.IsNull(Fits.Estimator(_ => { }).Fit(view).GetState("Y").GetHistograms());
        Assert.AreEqual((rows.Length, (1, 1)), (view.Read, view.Cursors));
    }

    [TestMethod]
    public void The_counts_are_those_of_all_rows_whatever_batches_threads_and_types()
    {
        BatchNormalizationState state = Fit(rows).GetState("Y");
        var expected = new ChannelHistograms(state.GetPopulation()!);
        expected.Add(ChannelLayout.Features(rows.Length, 9), [.. rows.SelectMany(row => row)]);
        CollectionAssert.AreEqual(expected.Counts.ToArray(), state.GetHistograms()!.Counts.ToArray());
        foreach (int threads in (int[])[1, 2, 4])
        {
            Assert.AreEqual(
                state, Keeping(options => options.NumberOfThreads = threads).Fit(Fits.Vectors(rows)).GetState("Y"));
        }
        Assert.AreEqual(state, Keeping(options => options.BatchSize = 7).Fit(Fits.Vectors(rows)).GetState("Y"));
        CollectionAssert.AreEqual(
            expected.Counts.ToArray(),
            Keeping(_ => { }).Fit(Fits.Vectors([.. rows.Reverse()])).GetState("Y").GetHistograms()!.Counts.ToArray());
        IDataView doubles = View.Vectors(
            View.Dense(Array.ConvertAll(rows, row => Array.ConvertAll(row, value => (double)value))), 9);
        Assert.AreEqual(
            expected.Counts.Length, Keeping(_ => { }).Fit(doubles).GetState("Y").GetHistograms()!.Counts.Length);
    }

    [TestMethod]
    public void They_survive_fine_tuning_freezing_saving_and_loading_with_the_grid_of_the_first_fit()
    {
        BatchNormalizationTransformer layer = Fit(rows);
        ChannelHistograms first = layer.GetState("Y").GetHistograms()!;
        BatchNormalizationTransformer loaded = Reloaded(layer), tuned = loaded.FineTune(Fits.Vectors(more));
        Assert.AreEqual(layer.GetState("Y"), loaded.GetState("Y"));
        Assert.AreEqual(layer.FineTune(Fits.Vectors(more)).GetState("Y"), tuned.GetState("Y"));
        ChannelHistograms all = tuned.GetState("Y").GetHistograms()!;
        CollectionAssert.AreEqual(first.Mean.ToArray(), all.Mean.ToArray());
        first.Add(ChannelLayout.Features(more.Length, 9), [.. more.SelectMany(row => row)]);
        CollectionAssert.AreEqual(first.Counts.ToArray(), all.Counts.ToArray());
        BatchNormalizationTransformer frozen = tuned.Freeze().FineTune(Fits.Vectors(rows));
        Assert.AreEqual(tuned.GetState("Y"), frozen.GetState("Y"));

        // An estimator without the option goes on counting where there are histograms.
        BatchNormalizationTransformer without = Fits.Estimator(_ => { }).Fit(Fits.Vectors(more), layer);
        CollectionAssert.AreEqual(all.Counts.ToArray(), without.GetState("Y").GetHistograms()!.Counts.ToArray());
    }

    [TestMethod]
    public void A_changed_shape_is_found_and_the_report_names_the_column()
    {
        var random = new Random(1);
        BatchNormalizationTransformer layer = Reloaded(Fit(Draw(Normal)));
        DriftReport report = layer.CompareStatistics(
            Fits.Vectors(Draw(() => 0.9 * (2 * random.Next(2) - 1) + Math.Sqrt(0.19) * Normal())))["Y"];
        Assert.IsTrue(report.HasHistograms && report.IsDrift(1e-4));
        Assert.AreEqual("X", report.Subject);
        Assert.IsFalse(layer.CompareStatistics(Fits.Vectors(Draw(Normal)))["Y"].IsDrift());

        float[][] Draw(Func<double> value) => [.. Enumerable.Range(0, 2000).Select(_ => (float[])[(float)value(), 1])];

        double Normal() =>
            Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
    }

    [TestMethod]
    public void Missing_values_are_counted_then_and_now()
    {
        BatchNormalizationEstimator estimator = Keeping(
            options => options.Layer = options.Layer with { NonFinite = NonFinite.Ignore });
        float[][] some = [.. rows.Select((row, i) => i % 10 == 0 ? [float.NaN, .. row[1..]] : row)];
        float[][] many = [.. rows.Select((row, i) => i % 4 == 0 ? [float.NaN, .. row[1..]] : row)];
        BatchNormalizationTransformer layer = Reloaded(estimator.Fit(Fits.Vectors(some)));
        ChannelDrift channel = layer.CompareStatistics(Fits.Vectors(many))["Y"].Channels[0];
        Assert.AreEqual((0, 301 / 3001.0, 751 / 3001.0), (channel.Channel, channel.TrainingMissing, channel.Missing));
        Assert.IsTrue(channel.AdjustedPValue < 1e-10);
        Assert.AreEqual(1, layer.CompareStatistics(Fits.Vectors(some))["Y"].Channels[0].MissingPValue);

    }

    [TestMethod]
    public void A_column_without_any_value_is_counted_as_missing()
    {
        BatchNormalizationEstimator estimator = Keeping(
            options => options.Layer = options.Layer with { NonFinite = NonFinite.Ignore });
        float[][] none = [.. rows.Select(_ => Enumerable.Repeat(float.NaN, 9).ToArray())];
        BatchNormalizationTransformer layer = Reloaded(estimator.Fit(Fits.Vectors(none)));
        BatchNormalizationState state = layer.GetState("Y");
        Assert.AreEqual((0.0, 0.0), (state.GetPopulation()!.Count[8], state.MovingMean[8]));
        Assert.AreEqual((1.0, 1.0), (state.MovingVariance[8], layer.InitialWeight));
        Assert.AreEqual(rows.Length, state.GetHistograms()!.CountsOf(8)[^1]);

        Assert.AreEqual(1, layer.CompareStatistics(Fits.Vectors(none))["Y"].PValue);
        DriftReport report = layer.CompareStatistics(Fits.Vectors(more))["Y"];
        Assert.IsTrue(report.IsDrift() && report.Channels.All(channel => channel.AdjustedPValue < 1e-100));
        Assert.IsTrue(report.Channels.All(channel => double.IsNaN(channel.TrainingMean)));

        BatchNormalizationState tuned = layer.FineTune(Fits.Vectors(more)).GetState("Y");
        BatchNormalizationState alone = estimator.Fit(Fits.Vectors(more)).GetState("Y");
        CollectionAssert.AreEqual(alone.MovingMean.ToArray(), tuned.MovingMean.ToArray());
        Assert.AreEqual(0, tuned.InitialWeight);
        Assert.AreEqual(
            (rows.Length, more.Length),
            (tuned.GetHistograms()!.CountsOf(0)[^1], tuned.GetHistograms()!.CountsOf(0)[..^1].ToArray().Sum()));
    }

    [TestMethod]
    public void A_mask_images_and_several_columns_are_counted()
    {
        var masked = new GeneratedView(9, rows.Length, Fill, counts: row => row % 3 == 0);
        BatchNormalizationState state = Keeping(options => options.MaskColumnName = "Counts").Fit(masked).GetState("Y");
        Assert.AreEqual(1001, state.GetHistograms()!.CountsOf(0).ToArray().Sum());

        IDataView images = View.Vectors(View.Dense(View.Floats(30, 24)), 2, 3, 4);
        ChannelHistograms histograms =
            Keeping(options => options.Axis = 1).Fit(images).GetState("Y").GetHistograms()!;
        Assert.AreEqual((2, 360.0), (histograms.Channels, histograms.CountsOf(1).ToArray().Sum()));

        BatchNormalizationTransformer both = View.ML.Transforms.BatchNormalization(new Options
        {
            Columns = [new InputOutputColumnPair("A", "X"), new InputOutputColumnPair("B", "X")],
            KeepHistograms = true,
        }).Fit(Fits.Vectors(rows));
        Assert.AreEqual(both.GetState("A"), both.GetState("B"));

        void Fill(long row, Span<float> values) => rows[row].CopyTo(values);
    }

    [TestMethod]
    [DataRow(2)]
    [DataRow(3)]
    public void Several_ranks_count_the_rows_of_all(int size)
    {
        BatchNormalizationState[] ranks = ThreadCollective.Run(size, collective =>
        {
            var context = new MLContext(1);
            return Keeping(options => options.Engine = new CpuEngine(1, collective), context)
                .Fit(context.Data.TakeShare(Fits.Vectors(rows), collective)).GetState("Y");
        });
        foreach (BatchNormalizationState state in ranks)
            Assert.AreEqual(ranks[0], state);
        var expected = new ChannelHistograms(ranks[0].GetPopulation()!);
        expected.Add(ChannelLayout.Features(rows.Length, 9), [.. rows.SelectMany(row => row)]);
        CollectionAssert.AreEqual(expected.Counts.ToArray(), ranks[0].GetHistograms()!.Counts.ToArray());
    }

    [TestMethod]
    public void What_cannot_be_counted_is_refused()
    {
        var average = Assert.Throws<ArgumentOutOfRangeException>(() => Keeping(
            options => options.Layer = new() { Momentum = 0.9 }).Fit(Fits.Vectors(rows)));
        StringAssert.Contains(average.Message, "KeepHistograms needs exact statistics");
        BatchNormalizationTransformer without = Fits.Estimator(_ => { }).Fit(Fits.Vectors(rows));
        var late = Assert.Throws<ArgumentOutOfRangeException>(() => Keeping(_ => { }).Fit(Fits.Vectors(more), without));
        StringAssert.Contains(late.Message, "goes on from have none");

        int pass = 0;
        var changing = new GeneratedView(9, rows.Length, (row, values) =>
        {
            pass += row == 0 ? 1 : 0;
            rows[row].CopyTo(values);
        }, counts: row => pass < 2 || row != 5);
        var other = Assert.Throws<InvalidOperationException>(
            () => Keeping(options => options.MaskColumnName = "Counts").Fit(changing));
        StringAssert.Contains(other.Message, "other rows when it was read again");
    }

    static BatchNormalizationTransformer Fit(float[][] train) => Keeping(_ => { }).Fit(Fits.Vectors(train));

    static BatchNormalizationEstimator Keeping(Action<Options> change, MLContext? context = null) => Fits.Estimator(
        options =>
        {
            options.KeepHistograms = true;
            change(options);
        }, context);

    static BatchNormalizationTransformer Reloaded(BatchNormalizationTransformer layer)
    {
        var stream = new MemoryStream();
        View.ML.Model.Save(layer, null, stream);
        stream.Position = 0;
        return (BatchNormalizationTransformer)View.ML.Model.Load(stream, out _);
    }
}
