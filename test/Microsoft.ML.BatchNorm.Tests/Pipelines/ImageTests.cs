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
    [DataRow(false)]
    [DataRow(true)]
    public void Pixels_become_what_a_pretrained_network_expects(bool isCaffe)
    {
        ImageNormalization expected = isCaffe ? ImageNormalization.Caffe : ImageNormalization.Torchvision;
        IDataView pixels = Stored(
            Pixels().Append(context.Transforms.SelectColumns("Pixels")).Fit(Rows).Transform(Rows));
        ApplyNetworkTransformer step = context.Transforms.NormalizePixels("Normalized", 12, 10, expected, "Pixels").Fit(pixels);
        IDataView rows = step.Transform(pixels);
        Assert.AreEqual("Vector<Single, 3, 10, 12>", rows.Schema["Normalized"].Type.ToString());
        float[] x = pixels.Rows<float>("Pixels")[3], y = rows.Rows<float>("Normalized")[3];
        for (int i = 0; i < x.Length; i++)
        {
            int channel = i / 120, color = isCaffe ? 2 - channel : channel;
            double value = x[120 * color + i % 120] * expected.Scale;
            Assert.AreEqual((value - expected.Mean[channel]) / expected.Deviation[channel], y[i], 1e-6 * Math.Abs(y[i]) + 1e-4);
        }
        Exported.AssertSameValues(OnnxModel.Of(step, pixels), step, pixels, "Normalized");
        using var stream = new MemoryStream();
        context.Model.Save(step, pixels.Schema, stream);
        stream.Position = 0;
        Agreement.SameBits<float>(y, context.Model.Load(stream, out _).Transform(pixels).Rows<float>("Normalized")[3]);
    }

    [TestMethod]
    public void Interleaved_colors_and_images_of_another_size_are_refused()
    {
        IDataView planes = Pixels().Fit(Rows).Transform(Rows), interleaved = Pixels(true).Fit(Rows).Transform(Rows);
        foreach ((IDataView view, int width, string fault) in new[]
        {
            (interleaved, 12, "Vector<Single, 10, 12, 3>"), (planes, 10, "Vector<Single, 3, 10, 12>"),
        })
        {
            var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => context.Transforms.NormalizePixels(
                "Pixels", width, 22 - width, ImageNormalization.Torchvision).Fit(view));
            StringAssert.Contains(error.Message, fault);
        }
    }

    [TestMethod]
    [DataRow(FineTuneBatchNormalization.KeepFrozen)]
    [DataRow(FineTuneBatchNormalization.KeepStatistics)]
    [DataRow(FineTuneBatchNormalization.Train)]
    public void A_pretrained_network_is_fine_tuned_on_files_and_what_comes_before_its_head_gives_features(
        FineTuneBatchNormalization way)
    {
        Network network = Network.Input(3, 10, 12)
            .Conv2D(8, 3, padding: 1, useBias: false, name: "conv1").BatchNormalization(name: "bn1").ReLU().MaxPool2D()
            .Residual(Network.Input(8, 5, 6).Conv2D(8, 3, padding: 1, useBias: false).BatchNormalization())
            .ReLU(name: "last").GlobalAveragePool2D().Dense(7);
        SavedNetwork saved = new(network, network.Initialize(1));
        SavedNetwork pretrained = saved.WithNormalization(ImageNormalization.Torchvision);
        SavedNetwork augmented = pretrained with
        {
            Network = pretrained.Network.Prepend(Network.Input(3, 10, 12).RandomCrop(1)),
        };
        var labels = context.Transforms.Conversion.MapValueToKey("Label", "Kind");
        var model = labels.Append(Pixels())
            .Append(context.MulticlassClassification.Trainers.BatchNormNetwork(
                augmented, FineTune.HeadThenAll(1, 8, 1e-2, 1e-2, way), featureColumnName: "Pixels", batchSize: 16))
            .Append(context.Transforms.Conversion.MapKeyToValue("Found", "PredictedLabel"))
            .Fit(Rows);
        NetworkState after = ((BatchNormNetworkMulticlassModelParameters)
            ((ISingleFeaturePredictionTransformer<object>)model.ElementAt(model.Count() - 2)).Model).State;
        foreach (string path in new[] { "image_normalization", "bn1" })
        {
            BatchNormalizationState was = augmented.State[path].BatchNormalization!,
                now = after[path].BatchNormalization!;
            bool isTrained = path == "bn1" && way != FineTuneBatchNormalization.KeepFrozen;
            Assert.AreEqual(isTrained, !was.Gamma.SequenceEqual(now.Gamma), path);
            Assert.AreEqual(
                path == "bn1" && way == FineTuneBatchNormalization.Train, !was.MovingMean.SequenceEqual(now.MovingMean),
                path);
        }
        Assert.IsTrue(context.MulticlassClassification.Evaluate(model.Transform(Rows)).MicroAccuracy > 0.5);

        IDataView features = Pixels().Append(context.Transforms.ApplyNetwork(
            "Features", model.ElementAt(model.Count() - 2), until: "last", "Pixels")).Fit(Rows).Transform(Rows);
        Assert.AreEqual("Vector<Single, 8, 5, 6>", features.Schema["Features"].Type.ToString());
        var classifier = labels.Append(context.MulticlassClassification.Trainers.LbfgsMaximumEntropy()).Fit(features);
        Assert.IsTrue(
            context.MulticlassClassification.Evaluate(classifier.Transform(features)).MicroAccuracy > 0.9);
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
