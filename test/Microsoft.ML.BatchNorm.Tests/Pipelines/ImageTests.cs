using Microsoft.ML.BatchNorm.Tests.Onnx;
using Microsoft.ML.BatchNorm.Tests.Persistence;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;
using Microsoft.ML.Transforms.Image;

namespace Microsoft.ML.BatchNorm.Tests.Pipelines;

/// <summary>From image files through ML.NET's own image transforms to normalized pixels and to a network.</summary>
[TestClass]
public class ImageTests
{
    static readonly MLContext context = new(1);

    static ImageFiles files = null!;

    static IDataView Rows => context.Data.LoadFromEnumerable(files.Rows);

    [ClassInitialize]
    public static void WriteFiles(TestContext _) => files = new ImageFiles();

    [ClassCleanup]
    public static void DeleteFiles() => files.Dispose();

    [TestMethod]
    public void Pixels_are_normalized_by_color_whether_planes_or_interleaved()
    {
        IDataView planes = Pixels().Fit(Rows).Transform(Rows), interleaved = Pixels(true).Fit(Rows).Transform(Rows);
        BatchNormalizationTransformer first = Normalization(axis: 1).Fit(planes),
            second = Normalization(axis: 3).Fit(interleaved);
        Assert.AreEqual(3, first.GetState("Normalized").Channels);
        Agreement.Within(
            1e-12, first.GetState("Normalized").MovingMean, second.GetState("Normalized").MovingMean);

        float[][] values = first.Transform(planes).Rows<float>("Normalized");
        const int size = 10 * 12;
        for (int color = 0; color < 3; color++)
        {
            float[] all = [.. values.SelectMany(row => row[(color * size)..((color + 1) * size)])];
            double mean = all.Average(value => (double)value), square = all.Average(value => (double)value * value);
            Agreement.Within(1e-5, [0, 1], [mean, square - mean * mean], $"color {color}");
        }
        float[][] other = second.Transform(interleaved).Rows<float>("Normalized");
        for (int i = 0; i < 3 * size; i++)
            Assert.AreEqual(values[7][i], other[7][i % size * 3 + i / size], 1e-6f);
    }

    [TestMethod]
    public void Planes_need_no_axis_interleaved_colors_do_and_a_layer_for_one_refuses_the_other()
    {
        IDataView planes = Pixels().Fit(Rows).Transform(Rows), interleaved = Pixels(true).Fit(Rows).Transform(Rows);
        var estimator = context.Transforms.BatchNormalization("Normalized", "Pixels");
        BatchNormalizationTransformer layer = estimator.Fit(planes);
        Assert.AreEqual((3, 1), (layer.GetState("Normalized").Channels, layer.Columns[0].Axis));
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => estimator.Fit(interleaved)).Message,
            "column 'Pixels' [10, 12, 3]");
        BatchNormalizationTransformer other =
            context.Transforms.BatchNormalization("Normalized", "Pixels", axis: -1).Fit(interleaved);
        Agreement.Within(
            1e-12, layer.GetState("Normalized").MovingMean, other.GetState("Normalized").MovingMean);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => layer.Transform(interleaved)).Message,
            "interleavePixelColors: false");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => other.Transform(planes)).Message,
            "interleavePixelColors: true");
    }

    [TestMethod]
    public void Each_of_the_512_features_of_DnnFeaturizeImage_has_statistics_of_its_own()
    {
        IDataView view = context.Transforms.CustomMapping<ImageFiles.Row, Featurized>((row, featurized) =>
        {
            int seed = files.Rows.ToList().FindIndex(other => other.Path == row.Path);
            featurized.Features = Sample.Floats(512, seed);
            for (int i = 0; i < 512; i++)
                featurized.Features[i] += i / 64f;
        }, null).Fit(Rows).Transform(Rows);
        Assert.AreEqual("Vector<Single, 1, 512, 1, 1>", view.Schema["Features"].Type.ToString());
        BatchNormalizationTransformer layer = context.Transforms.BatchNormalization("Features").Fit(view);
        Assert.AreEqual((512, 2), (layer.GetState("Features").Channels, layer.Columns[0].Axis));
        float[][] values = layer.Transform(view).Rows<float>("Features");
        for (int i = 0; i < 512; i++)
            Assert.AreEqual(0, values.Average(row => (double)row[i]), 1e-5);
    }

    [TestMethod]
    public void Convolutions_tell_files_apart_in_the_model_and_in_the_one_that_was_saved()
    {
        var model = context.Transforms.Conversion.MapValueToKey("Label", "Kind")
            .Append(Pixels())
            .Append(Normalization(axis: 1))
            .Append(Trainer())
            .Append(context.Transforms.Conversion.MapKeyToValue("Found", "PredictedLabel"))
            .Fit(Rows);
        using var test = new ImageFiles(count: 40, seed: 2);
        IDataView view = context.Data.LoadFromEnumerable(test.Rows);
        double accuracy = context.MulticlassClassification.Evaluate(model.Transform(view)).MicroAccuracy;
        Assert.IsTrue(accuracy > 0.9, $"{accuracy:P1}");

        using var stream = new MemoryStream();
        context.Model.Save(model, view.Schema, stream);
        stream.Position = 0;
        var other = new MLContext();
        ITransformer loaded = other.Model.Load(stream, out _);
        CollectionAssert.AreEqual(
            model.Transform(view).GetColumn<string>("Found").ToArray(),
            loaded.Transform(view).GetColumn<string>("Found").ToArray());
        Agreement.SameBits<float>(
            [.. model.Transform(view).Rows<float>("Score").SelectMany(row => row)],
            [.. loaded.Transform(view).Rows<float>("Score").SelectMany(row => row)]);
        using var engine = other.Model.CreatePredictionEngine<ImageFiles.Row, Prediction>(loaded);
        Assert.AreEqual(
            model.Transform(view).GetColumn<string>("Found").First(), engine.Predict(test.Rows[0]).Found);
    }

    [TestMethod]
    public void From_the_pixels_on_the_chain_is_a_graph()
    {
        IDataView pixels = Stored(
            context.Transforms.Conversion.MapValueToKey("Label", "Kind").Append(Pixels())
                .Append(context.Transforms.SelectColumns("Pixels", "Label")).Fit(Rows).Transform(Rows));
        ITransformer model = Normalization(axis: 1).Append(Trainer()).Fit(pixels);
        Exported.AssertSameValues(
            OnnxModel.Of(model, pixels), model, pixels, "Normalized", "Score", "PredictedLabel");
    }

    [TestMethod]
    public void From_the_files_on_ML_NET_exports_no_chain()
    {
        ITransformer model = Pixels().Append(Normalization(axis: 1)).Fit(Rows);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => OnnxModel.Of(model, Rows));
        StringAssert.Contains(error.Message, "can not be fully converted");
    }

    /// <summary>The same rows, with no transforms behind them.</summary>
    static IDataView Stored(IDataView rows)
    {
        using var stream = new MemoryStream();
        context.Data.SaveAsBinary(rows, stream);
        return context.Data.LoadFromBinary(new BytesSource(stream.ToArray()));
    }

    static EstimatorChain<ImagePixelExtractingTransformer> Pixels(bool interleaved = false) =>
        context.Transforms.LoadImages("Image", "", "Path")
            .Append(context.Transforms.ResizeImages("Image", imageWidth: 12, imageHeight: 10))
            .Append(context.Transforms.ExtractPixels("Pixels", "Image", interleavePixelColors: interleaved));

    static BatchNormalizationEstimator Normalization(int axis) => context.Transforms.BatchNormalization(new()
    {
        Columns = [new("Normalized", "Pixels")],
        Layer = new() { Axis = axis, MovingStatistics = MovingStatistics.Population, Epsilon = 1e-5 },
    });

    static BatchNormNetworkMulticlassTrainer Trainer() =>
        context.MulticlassClassification.Trainers.BatchNormNetwork(new()
        {
            FeatureColumnName = "Normalized",
            Network = Network.Input(3, 10, 12)
                .Conv2D(8, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D()
                .Conv2D(8, 3, padding: 1, useBias: false).BatchNormalization().ReLU().GlobalAveragePool2D()
                .Dense(4),
            Optimizer = Optimizer.Adam(0.02),
            BatchSize = 16,
            Seed = 1,
        });

    sealed class Featurized
    {
        [VectorType(1, 512, 1, 1)]
        public float[] Features { get; set; } = [];
    }

    sealed class Prediction
    {
        public string Found { get; set; } = "";
    }
}
