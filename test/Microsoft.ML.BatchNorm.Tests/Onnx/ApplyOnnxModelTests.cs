using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Trainers;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>Graphs of every kind as a transform of ML.NET's own, <c>ApplyOnnxModel</c>.</summary>
[TestClass]
public class ApplyOnnxModelTests
{
    static readonly IDataView Blob = Blobs.Plain(View.ML, count: 60);

    static readonly string[] Label = ["Score", "PredictedLabel"];

    [TestMethod]
    public void Columns_of_either_type()
    {
        Check(Layers.Transformer(3), View.Vectors(View.Dense(View.Floats(9, 3)), 3));
        Check(Layers.Transformer(3), View.Vectors(View.Dense(View.Doubles(9, 3)), 3));
        Check(Layers.Transformer(1), View.Scalars(Sample.Floats(9, 3)));
        Check(Layers.Transformer(1), View.Scalars(Sample.Doubles(9, 3)));
    }

    [TestMethod]
    [DataRow(1, 3, DisplayName = "[C, H, W]")]
    [DataRow(2, 4, DisplayName = "[H, C, W]")]
    [DataRow(-1, 5, DisplayName = "[H, W, C]")]
    public void Columns_with_dimensions(int axis, int channels)
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(channels, new() { Axis = axis });
        Check(transformer, View.Vectors(View.Dense(View.Floats(9, 60)), 3, 4, 5));
        Check(transformer, View.Vectors(View.Dense(View.Doubles(9, 60)), 3, 4, 5));
    }

    [TestMethod]
    public void Trained_networks()
    {
        Check(Blobs.Multiclass(View.ML, options => options.Epochs = 2).Fit(Blob), Blob, Label);
        Check(Blobs.Binary(View.ML, options => options.Epochs = 2).Fit(Blob), Blob, [.. Label, "Probability"]);
        Check(Blobs.Regression(View.ML, options => options.Epochs = 2).Fit(Blob), Blob, "Score");
    }

    [TestMethod]
    public void A_trained_network_of_convolutions()
    {
        IDataView images = Images.View();
        var trainer = View.ML.MulticlassClassification.Trainers.BatchNormNetwork(new()
        {
            FeatureColumnName = "X",
            Network = Network.Input(2, 5, 4)
                .Conv2D(4, 3, useBias: false).BatchNormalization().ReLU().Flatten().Dense(2),
            Epochs = 2,
        });
        Check(trainer.Fit(images), images, Label);
    }

    [TestMethod]
    public void Applied_networks()
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(5, 2 * 8 * 7)), 2, 8, 7);
        foreach (Network network in (Network[])[Samples.Every, Samples.Every.Until("Größe 大")])
        {
            SavedNetwork saved = Samples.Saved(network);
            Check(View.ML.Transforms.ApplyNetwork("Y", saved, inputColumnName: "X").Fit(images), images);
        }
        var model = Blobs.Multiclass(View.ML, options => options.Epochs = 2).Fit(Blob);
        Check(View.ML.Transforms.ApplyNetwork("Y", model, "re_lu", "Features").Fit(Blob), Blob);
    }

    static void Check(ITransformer transformer, IDataView view, params string[] columns)
    {
        columns = columns.Length == 0 ? ["Y"] : columns;
        using var stream = new MemoryStream(OnnxModel.Of(transformer, view).Bytes);
        IDataView expected = transformer.Transform(view);
        IDataView actual = View.ML.Transforms.ApplyOnnxModel(stream).Fit(view).Transform(view);
        foreach (string name in columns)
            ColumnValues.Of(expected, name).AssertSame(ColumnValues.Of(actual, name), "ApplyOnnxModel");
    }
}
