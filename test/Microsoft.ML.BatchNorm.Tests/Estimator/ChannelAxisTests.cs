using Microsoft.ML.BatchNorm.Tests.Fitting;
using Microsoft.ML.BatchNorm.Tests.Onnx;
using Microsoft.ML.BatchNorm.Tests.Trainers;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Saved = Microsoft.ML.BatchNorm.Tests.Persistence.Model;

namespace Microsoft.ML.BatchNorm.Tests.Estimator;

/// <summary>
/// Which dimension of a column has the channels: the one that ML.NET's own components write, or the one that is said,
/// counted with the batch as dimension 0.
/// </summary>
[TestClass]
public class ChannelAxisTests
{
    static readonly TransformsCatalog Catalog = View.ML.Transforms;

    [TestMethod]
    [DataRow(new[] { 12 }, 12, 1, DisplayName = "a plain vector: each slot")]
    [DataRow(new[] { 1, 12 }, 12, 2, DisplayName = "[1, n] of ApplyOnnxModel: each slot")]
    [DataRow(new[] { 1, 1 }, 1, 2, DisplayName = "[1, 1]")]
    [DataRow(new[] { 4, 3 }, 4, 1, DisplayName = "two dimensions: the first")]
    [DataRow(new[] { 4, 1 }, 4, 1, DisplayName = "two dimensions, the last of them 1: the first")]
    [DataRow(new[] { 3, 2, 5 }, 3, 1, DisplayName = "[C, H, W] of ExtractPixels: the first")]
    [DataRow(new[] { 3, 2, 4 }, 3, 1, DisplayName = "[C, H, W] four pixels wide: the first")]
    [DataRow(new[] { 1, 6, 3 }, 1, 1, DisplayName = "gray, three pixels wide: the first")]
    [DataRow(new[] { 7, 2, 2 }, 7, 1, DisplayName = "seven maps: the first")]
    [DataRow(new[] { 1, 12, 1, 1 }, 12, 2, DisplayName = "[1, C, 1, 1] of DnnFeaturizeImage: C")]
    [DataRow(new[] { 1, 3, 2, 2 }, 3, 2, DisplayName = "[1, C, H, W]: C")]
    [DataRow(new[] { 2, 3, 2, 2 }, 2, 1, DisplayName = "four dimensions without one for the batch: the first")]
    public void The_default_is_what_ML_NET_s_components_write(int[] dimensions, int channels, int axis)
    {
        int size = dimensions.Aggregate((product, dimension) => product * dimension);
        float[][] rows = View.Floats(200, size);
        BatchNormalizationTransformer layer =
            Catalog.BatchNormalization("Y", "X").Fit(View.Vectors(View.Dense(rows), dimensions));
        Assert.AreEqual((channels, axis), (layer.GetState("Y").Channels, layer.Columns[0].Axis));
        var expected = new BatchStatistics(channels);
        expected.Add(
            new ChannelLayout([rows.Length, .. dimensions], axis), (float[])[.. rows.SelectMany(row => row)]);
        Agreement.Within(1e-13, expected.Mean, layer.GetState("Y").MovingMean);
    }

    [TestMethod]
    [DataRow(5, 2, 3)]
    [DataRow(8, 8, 1)]
    [DataRow(512, 4, 4)]
    public void Where_the_last_of_three_may_be_colors_and_the_first_may_not_the_axis_must_be_given(
        int first, int second, int last)
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(20, first * second * last)), first, second, last);
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => Catalog.BatchNormalization("Y", "X").Fit(new UnreadableView(view)));
        StringAssert.Contains(error.Message, $"column 'X' [{first}, {second}, {last}]");
        StringAssert.Contains(error.Message, $"axis: 1 for {first} channels");
        StringAssert.Contains(error.Message, $"axis: 3 for {last} ");
        Assert.IsTrue(error.IsMarked(), "The error is not ML.NET's.");
        Assert.AreEqual(last, Catalog.BatchNormalization("Y", "X", axis: 3).Fit(view).GetState("Y").Channels);
        Assert.AreEqual(
            first, Catalog.BatchNormalization([new InputOutputColumnPair("Y", "X")], axis: 1).Fit(view)
                .GetState("Y").Channels);
    }

    [TestMethod]
    [DataRow(1, 3)]
    [DataRow(2, 4)]
    [DataRow(3, 5)]
    [DataRow(-1, 5)]
    [DataRow(-3, 3)]
    public void An_axis_counts_the_batch_in_every_overload_and_in_a_network(int axis, int channels)
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(20, 60)), 3, 4, 5);
        SavedBatchNormalization saved = new(
            BatchNormalizationOptions.Keras, Sample.State(BatchNormalizationOptions.Keras, channels));
        var pairs = (InputOutputColumnPair[])[new("Y", "X")];
        foreach (BatchNormalizationEstimator estimator in (BatchNormalizationEstimator[])
            [
                Catalog.BatchNormalization("Y", "X", axis: axis),
                Catalog.BatchNormalization(pairs, axis: axis),
                Catalog.BatchNormalization(new BatchNormalizationEstimator.Options { Columns = pairs, Axis = axis }),
                Catalog.BatchNormalization(new BatchNormalizationEstimator.Options
                {
                    Columns = pairs,
                    Layer = BatchNormalizationOptions.Keras with { Axis = axis },
                }),
                Catalog.BatchNormalization("Y", saved, trainable: false, "X", axis: axis),
                Catalog.BatchNormalization(
                    "Y", saved with { Options = saved.Options with { Axis = axis } }, trainable: true, "X"),
            ])
        {
            BatchNormalizationColumn column = estimator.Fit(view).Columns[0];
            Assert.AreEqual(channels, column.State.Channels);
            Assert.AreEqual(axis < 0 ? axis + 4 : axis, column.Axis);
        }
        Network network = Network.Input(3, 4, 5).BatchNormalization(axis: axis);
        Assert.AreEqual(channels, network.Initialize()["batch_normalization"].BatchNormalization!.Channels);
    }

    [TestMethod]
    public void The_batch_s_own_axis_and_one_that_a_row_lacks_are_errors()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(20, 60)), 3, 4, 5);
        foreach (int wrong in (int[])[4, -4, -5, int.MinValue, int.MaxValue])
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => Catalog.BatchNormalization("Y", "X", axis: wrong).Fit(new UnreadableView(view)));
            StringAssert.Contains(error.Message, $"not {wrong}");
        }
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => Catalog.BatchNormalization("Y", "X", axis: 0)).Message, "Axis");
    }

    [TestMethod]
    public void The_presets_of_the_frameworks_say_no_axis()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(600, 12)), 1, 12, 1, 1);
        foreach (BatchNormalizationOptions layer in (BatchNormalizationOptions[])
            [BatchNormalizationOptions.Keras, BatchNormalizationOptions.PyTorch, new() { Epsilon = 0.5 }])
        {
            Assert.AreEqual(12, Fits.Fit(view, layer).Channels);
            var saved = new SavedBatchNormalization(layer, Sample.State(layer, 12));
            Assert.AreEqual(2, Catalog.BatchNormalization("Y", saved, trainable: false, "X").Fit(view)
                .Columns[0].Axis);
        }
    }

    [TestMethod]
    [DataRow(new[] { 3, 8, 8 }, "Column 'X' [3, 8, 8]: 3 channels along axis 1.")]
    [DataRow(new[] { 1, 3, 8, 8 }, "Column 'X' [1, 3, 8, 8]: 3 channels along axis 2.")]
    [DataRow(new[] { 1, 8, 8 }, "Column 'X' [1, 8, 8]: 1 channel along axis 1.")]
    [DataRow(new[] { 1, 64 }, "Column 'X' [1, 64]: 64 channels along axis 2.")]
    public void The_log_says_how_many_channels_a_column_with_dimensions_has(int[] dimensions, string expected)
    {
        var context = new MLContext(1);
        List<string> messages = Messages.Of(context);
        int size = dimensions.Aggregate((product, dimension) => product * dimension);
        context.Transforms.BatchNormalization("Y", "X")
            .Fit(View.Vectors(View.Dense(View.Floats(20, size)), dimensions));
        Assert.HasCount(1, messages.Where(message => message.Contains(expected, StringComparison.Ordinal)).ToArray());
    }

    [TestMethod]
    public void The_log_says_nothing_of_plain_columns()
    {
        var context = new MLContext(1);
        List<string> messages = Messages.Of(context);
        context.Transforms.BatchNormalization("Y", "X").Fit(Fits.Vectors(View.Floats(20, 3)));
        context.Transforms.BatchNormalization("Y", "X").Fit(View.Scalars(1f, 2f));
        Assert.IsFalse(messages.Exists(message => message.Contains("along axis", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow(new[] { 1, 6, 2, 2 })]
    [DataRow(new[] { 1, 24 })]
    [DataRow(new[] { 6, 2, 2 }, DisplayName = "[6, 2, 2]")]
    public void A_fitted_layer_keeps_its_axis_wherever_it_goes(int[] dimensions)
    {
        float[][] rows = View.Floats(300, 24);
        IDataView view = View.Vectors(View.Dense(rows), dimensions);
        BatchNormalizationTransformer layer = Catalog.BatchNormalization("Y", "X").Fit(view);
        int axis = layer.Columns[0].Axis, channels = layer.GetState("Y").Channels;
        Assert.AreEqual(dimensions[axis - 1], channels);
        var loaded = (BatchNormalizationTransformer)Saved.Reload(layer, view.Schema);
        Saved.AssertSame(layer, loaded);
        foreach (BatchNormalizationTransformer next in (BatchNormalizationTransformer[])
            [
                loaded, loaded.FineTune(view), loaded.Freeze().Unfreeze(),
                Catalog.BatchNormalization("Y", "X").Fit(view, loaded),
                Catalog.BatchNormalization(loaded, trainable: true).Fit(view),
                Catalog.BatchNormalization(
                    loaded, new BatchNormalizationEstimator.Options { Columns = [new("Y", "X")] }).Fit(view),
            ])
        {
            Assert.AreEqual((axis, channels), (next.Columns[0].Axis, next.GetState("Y").Channels));
        }
        DriftReport report = loaded.CompareStatistics(view)["Y"];
        Assert.HasCount(channels, report.Channels);
        Assert.IsFalse(report.IsDrift());
        Exported.AssertSameValues(loaded, view);
    }

    [TestMethod]
    public void A_layer_for_interleaved_colors_goes_on_without_being_told_its_axis_again()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(30, 60)), 5, 4, 3);
        BatchNormalizationTransformer layer = Catalog.BatchNormalization("Y", "X", axis: -1).Fit(view);
        Assert.AreEqual(3, layer.Columns[0].Axis);
        Assert.AreEqual(3, Catalog.BatchNormalization("Y", "X").Fit(view, layer).GetState("Y").Channels);
    }

    [TestMethod]
    public void Channels_that_are_slots_have_the_slots_names_in_a_comparison()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(30, 3)), [1, 3], ["a", "b", "c"]);
        DriftReport report = Catalog.BatchNormalization("Y", "X").Fit(view).CompareStatistics(view)["Y"];
        CollectionAssert.AreEquivalent(
            (string[])["a", "b", "c"], report.Channels.Select(channel => channel.Name).ToArray());
    }
}
