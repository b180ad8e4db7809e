using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Onnx;
using Microsoft.ML.Transforms;
using Saved = Microsoft.ML.BatchNorm.Tests.Persistence.Model;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>
/// A layer that was fitted to a column with dimensions refuses as many values in other dimensions, and takes a plain
/// vector in those that it knows.
/// </summary>
[TestClass]
public class FittedShapeTests
{
    static readonly float[][] rows = View.Floats(20, 60);

    [TestMethod]
    [DataRow(new[] { 3, 4, 5 }, 1, new[] { 4, 5, 3 }, "channels first, as ExtractPixels gives them with interleave")]
    [DataRow(new[] { 4, 5, 3 }, 3, new[] { 3, 4, 5 }, "channels last, as ExtractPixels gives them with interleave")]
    [DataRow(new[] { 3, 4, 5 }, 1, new[] { 3, 5, 4 }, "height and width are exchanged: see imageHeight and imageWidth")]
    [DataRow(new[] { 4, 5, 3 }, 3, new[] { 5, 4, 3 }, "height and width are exchanged")]
    [DataRow(new[] { 1, 3, 4, 5 }, 2, new[] { 1, 3, 5, 4 }, "height and width are exchanged")]
    [DataRow(new[] { 3, 4, 5 }, 1, new[] { 3, 20 }, "expected Vector<Single, 3, 4, 5>, got")]
    [DataRow(new[] { 60 }, 1, new[] { 3, 4, 5 }, "expected Vector<Single, 60>, got")]
    public void Other_dimensions_of_the_same_size_are_refused(int[] fitted, int axis, int[] given, string message)
    {
        IDataView right = Of(fitted), wrong = Of(given);
        BatchNormalizationEstimator estimator = View.ML.Transforms.BatchNormalization("Y", "X", axis: axis);
        BatchNormalizationTransformer layer = estimator.Fit(right);
        var loaded = (BatchNormalizationTransformer)Saved.Reload(layer, right.Schema);
        Saved.AssertSame(layer, loaded);
        foreach (BatchNormalizationTransformer each in (BatchNormalizationTransformer[])
            [layer, loaded, layer.FineTune(right), layer.Freeze()])
        {
            foreach (Action action in (Action[])
                [
                    () => each.Transform(new UnreadableView(wrong)),
                    () => each.GetOutputSchema(wrong.Schema),
                    () => ((ITransformer)each).GetRowToRowMapper(wrong.Schema),
                    () => each.FineTune(new UnreadableView(wrong)),
                    () => each.CompareStatistics(new UnreadableView(wrong)),
                    () => estimator.Fit(new UnreadableView(wrong), each),
                    () => View.ML.Transforms.BatchNormalization(each, trainable: true).Fit(new UnreadableView(wrong)),
                ])
            {
                var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(action);
                StringAssert.Contains(error.Message, "column 'X'");
                StringAssert.Contains(error.Message, $"Vector<Single, {string.Join(", ", fitted)}>");
                StringAssert.Contains(error.Message, $"got Vector<Single, {string.Join(", ", given)}>");
                StringAssert.Contains(error.Message, message);
            }
        }
    }

    [TestMethod]
    [DataRow(new[] { 3, 4, 5 }, 1, new[] { 60 })]
    [DataRow(new[] { 3, 4, 5 }, 1, new[] { 1, 60 })]
    [DataRow(new[] { 3, 4, 5 }, 1, new[] { 1, 3, 4, 5 })]
    [DataRow(new[] { 4, 5, 3 }, 3, new[] { 60 })]
    [DataRow(new[] { 60 }, 1, new[] { 1, 60 })]
    [DataRow(new[] { 1, 60 }, 2, new[] { 60 })]
    public void A_plain_vector_is_taken_in_the_dimensions_of_the_layer(int[] fitted, int axis, int[] given)
    {
        IDataView right = Of(fitted), plain = Of(given);
        BatchNormalizationTransformer layer = View.ML.Transforms.BatchNormalization("Y", "X", axis: axis).Fit(right);
        IDataView output = layer.Transform(plain);
        Assert.AreEqual(plain.Schema["X"].Type, output.Schema["Y"].Type);
        Agreement.SameBits<float>(
            [.. layer.Transform(right).Rows<float>("Y").SelectMany(row => row)],
            [.. output.Rows<float>("Y").SelectMany(row => row)]);
        Assert.AreEqual(layer.FineTune(right).GetState("Y"), layer.FineTune(plain).GetState("Y"));
        Assert.AreEqual(layer.CompareStatistics(right)["Y"].PValue, layer.CompareStatistics(plain)["Y"].PValue);
        Exported.AssertSameValues(layer, plain);
        Exported.AssertSameValues(
            (BatchNormalizationTransformer)Saved.Reload(layer, right.Schema),
            View.Vectors(View.Dense(View.Doubles(5, 60)), given));
    }

    [TestMethod]
    public void An_image_of_another_size_is_taken_by_its_channels()
    {
        BatchNormalizationTransformer layer =
            View.ML.Transforms.BatchNormalization("Y", "X").Fit(Of(3, 4, 5));
        IDataView larger = View.Vectors(View.Dense(View.Floats(4, 3 * 8 * 9)), 3, 8, 9);
        Assert.AreEqual(4, layer.Transform(larger).Rows<float>("Y").Length);
        Assert.AreEqual(3, layer.FineTune(larger).GetState("Y").Channels);
    }

    [TestMethod]
    public void A_state_from_elsewhere_takes_the_dimensions_of_the_column_that_it_meets_first()
    {
        SavedBatchNormalization saved =
            new(BatchNormalizationOptions.Keras, Sample.State(BatchNormalizationOptions.Keras, 3));
        BatchNormalizationTransformer layer =
            View.ML.Transforms.BatchNormalization("Y", saved, trainable: false, "X").Fit(Of(3, 4, 5));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => layer.Transform(Of(3, 5, 4)));
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => View.ML.Transforms.BatchNormalization("Y", saved, trainable: false, "X").Fit(Of(60)));
        StringAssert.Contains(error.Message, "expected 3 channels, as the pretrained state has");
    }

    [TestMethod]
    public void Another_axis_begins_with_the_dimensions_of_the_new_column()
    {
        BatchNormalizationTransformer layer =
            View.ML.Transforms.BatchNormalization("Y", "X", axis: 1).Fit(Of(3, 4, 5));
        BatchNormalizationTransformer last =
            View.ML.Transforms.BatchNormalization("Y", "X", axis: 3).Fit(Of(4, 5, 3), layer);
        Assert.AreEqual((3, 3), (last.Columns[0].Axis, last.GetState("Y").Channels));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => View.ML.Transforms.BatchNormalization("Y", "X", axis: -3).Fit(Of(3, 5, 4), layer));
    }

    static IDataView Of(params int[] dimensions) => View.Vectors(View.Dense(rows), dimensions);
}
