using Microsoft.ML.BatchNorm.Tests.Estimator;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

[TestClass]
public class ChainTests
{
    [TestMethod]
    public void Between_a_concatenation_and_a_trained_classifier()
    {
        IDataView view = View.ML.Data.LoadFromEnumerable(Rows());
        var head = View.ML.Transforms.Concatenate("X", "Width", "Height", "Pixels").Fit(view);
        BatchNormalizationTransformer normalization = Layers.Transformer(6);
        IDataView normalized = normalization.Transform(head.Transform(view));
        var trainer = View.ML.MulticlassClassification.Trainers.SdcaMaximumEntropy(
            new() { FeatureColumnName = "Y", MaximumNumberOfIterations = 5, NumberOfThreads = 1 });
        ITransformer chain = head.Append(normalization).Append(trainer.Fit(normalized));

        OnnxModel model = OnnxModel.Of(chain, view, "Score", "PredictedLabel");
        Assert.IsNotNull(model.Normalization);
        CollectionAssert.Contains(model.Operators, "LinearClassifier");
        Exported.AssertSameValues(model, chain, view, "Score", "PredictedLabel");
    }

    [TestMethod]
    [DataRow(-1, 2, DisplayName = "[H, W, C]")]
    [DataRow(1, 3, DisplayName = "[C, H, W]")]
    public void Images_before_a_trained_classifier(int axis, int channels)
    {
        float[][] rows = View.Floats(90, 12);
        SchemaDefinition definition = SchemaDefinition.Create(typeof(ImageRow));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 3, 2, 2);
        IDataView view = View.ML.Data.LoadFromEnumerable(
            rows.Select((row, i) => new ImageRow { X = row, Label = (uint)(i % 3) }).ToArray(), definition);
        BatchNormalizationTransformer normalization = Layers.Transformer(channels, new() { Axis = axis });
        var rest = View.ML.Transforms.Concatenate("Z", "Y").Append(
            View.ML.MulticlassClassification.Trainers.SdcaMaximumEntropy(
                new() { FeatureColumnName = "Z", MaximumNumberOfIterations = 5, NumberOfThreads = 1 }));
        ITransformer chain = normalization.Append(rest.Fit(normalization.Transform(view)));

        OnnxModel model = OnnxModel.Of(chain, view, "Score", "PredictedLabel");
        Assert.IsNotNull(model.Normalization);
        Assert.AreEqual(axis < 0 ? 2 : 0, model.Operators.Count(type => type == "Transpose"));
        Exported.AssertSameValues(model, chain, view, "Score", "PredictedLabel");
    }

    [TestMethod]
    public void Before_one_of_the_librarys_own_normalizers()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(100, 6)), 6);
        BatchNormalizationTransformer normalization = Layers.Transformer(6);
        ITransformer chain = normalization.Append(
            View.ML.Transforms.NormalizeMeanVariance("Z", "Y", fixZero: false).Fit(normalization.Transform(view)));
        OnnxModel model = OnnxModel.Of(chain, view);
        CollectionAssert.Contains(model.Operators, "Scaler");
        Exported.AssertSameValues(model, chain, view, "Y", "Z");
    }

    [TestMethod]
    public void Fitted_on_rows_that_count_between_transforms_that_replace_convert_and_drop()
    {
        float[][] rows = View.Floats(30, 4);
        rows[5][2] = float.NaN;
        IDataView view = MaskedRow.View(rows, i => i % 3 > 0);
        ITransformer chain = View.ML.Transforms.ReplaceMissingValues("Filled", "X")
            .Append(View.ML.Transforms.Conversion.ConvertType("Double", "Filled", DataKind.Double))
            .Append(View.ML.Transforms.BatchNormalization(new()
            {
                Columns = [new("Y", "Filled"), new("Z", "Double")],
                MaskColumnName = "Counts",
            }))
            .Append(View.ML.Transforms.SelectColumns("Y", "Z"))
            .Fit(view);
        Exported.AssertSameValues(OnnxModel.Of(chain, view), chain, view, "Y", "Z");
    }

    [TestMethod]
    public void A_view_that_was_transformed_before_is_part_of_the_graph()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(30, 4)), 4);
        BatchNormalizationTransformer first = Layers.Transformer(4),
            second = Layers.Transformer(Layers.Column(4, output: "Z", input: "Y"));
        OnnxModel model = OnnxModel.Of(second, first.Transform(view), "Z");
        Assert.AreEqual("X", model.Inputs.Single().Name);
        Exported.AssertSameValues(model, first.Append(second), view, "Z");
    }

    [TestMethod]
    public void Two_in_a_row()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(30, 60)), 3, 4, 5);
        ITransformer chain = Layers.Transformer(Layers.Column(5, new() { Axis = -1 }))
            .Append(Layers.Transformer(Layers.Column(3, new() { Axis = 1 }, output: "Z", input: "Y")));
        OnnxModel model = OnnxModel.Of(chain, view);
        CollectionAssert.AreEqual(
            new[] { "Transpose", "BatchNormalization", "Transpose", "Reshape", "BatchNormalization" },
            model.Operators.Where(type => type != "Sub").ToArray());
        Exported.AssertSameValues(model, chain, view, "Y", "Z");
    }

    [TestMethod]
    public void Several_columns_of_different_types()
    {
        IDataView view = View.ML.Data.LoadFromEnumerable(Rows());
        BatchNormalizationTransformer transformer = Layers.Transformer(
            Layers.Column(1, output: "A", input: "Width"),
            Layers.Column(4, output: "B", input: "Pixels"),
            Layers.Column(1, output: "C", input: "Weight"));
        OnnxModel model = Exported.AssertSameValues(transformer, view, "A", "B", "C");
        Assert.AreEqual(3, model.Operators.Count(type => type == "BatchNormalization"));
    }

    [TestMethod]
    public void After_saving_and_loading()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(30, 6)), 6);
        using var stream = new MemoryStream();
        View.ML.Model.Save(Layers.Transformer(6), view.Schema, stream);
        stream.Position = 0;
        ITransformer loaded = View.ML.Model.Load(stream, out _);
        Exported.AssertSameValues(OnnxModel.Of(loaded, view), loaded, view, "Y");
    }

    static Row[] Rows()
    {
        float[] values = Sample.Floats(600, 8);
        return [.. Enumerable.Range(0, 100).Select(i => new Row
        {
            Width = values[6 * i],
            Height = values[6 * i + 1],
            Pixels = values[(6 * i + 2)..(6 * i + 6)],
            Weight = values[i],
            Label = (uint)(i % 3),
        })];
    }

    sealed class ImageRow
    {
        public float[] X { get; set; } = [];

        [KeyType(3)]
        public uint Label { get; set; }
    }

    sealed class Row
    {
        public float Width { get; set; }

        public float Height { get; set; }

        [VectorType(4)]
        public float[] Pixels { get; set; } = [];

        public double Weight { get; set; }

        [KeyType(3)]
        public uint Label { get; set; }
    }
}
