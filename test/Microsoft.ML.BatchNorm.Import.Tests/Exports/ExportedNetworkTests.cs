using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Import.Tests.Exports;

/// <summary>Networks that this library exports come back: the same layers but dropout, and the same outputs.</summary>
[TestClass]
public class ExportedNetworkTests
{
    static IEnumerable<object[]> Branching => Graphs.Names.Select(name => new object[] { name });

    [TestMethod]
    public void Every_kind_of_layer()
    {
        Check(Samples.Every, 2, 8, 7);
        Check(Samples.Every, 112);
        Check(Samples.Every.Until("Größe 大"), 2, 8, 7);
    }

    [TestMethod]
    [DynamicData(nameof(Branching))]
    public void A_network_that_branches(string name)
    {
        Network network = Graphs.Named(name);
        Check(network, network.InputShape.Dimensions.ToArray());
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Each_activation_with_a_normalization_that_refuses_NaN_and_without(bool refuses)
    {
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            Network network = refuses ? Network.Input(6).BatchNormalization() : Network.Input(6);
            Check(network.Dense(30).LeakyReLU(5).Add(new ActivationLayer(activation)).Dense(2), 6);
        }
    }

    [TestMethod]
    public void Layers_that_keep_values_which_are_not_finite()
    {
        Network start = Network.Input(2, 8, 7).BatchNormalization(new() { NonFinite = NonFinite.Ignore });
        Network pooled = start.MaxPool2D().AveragePool2D(2, 1);
        Check(Activations.Aggregate(pooled, (network, activation) => network.Add(activation)), 2, 8, 7);
        float[] rows = Sample.Floats(3 * 112, seed: 1);
        (rows[5], rows[40], rows[120], rows[200], rows[300]) =
            (float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.NaN, float.PositiveInfinity);
        foreach (Network network in (Network[])[pooled, .. Activations.Select(start.Add)])
        {
            SavedNetwork saved = Samples.Saved(network);
            IDataView view = View.Vectors(View.Dense([.. rows.Chunk(112)]), 2, 8, 7);
            SavedNetwork imported = Reference.Load(
                Exported(View.ML.Transforms.ApplyNetwork("Y", saved, inputColumnName: "X").Fit(view), view),
                until: "Y.output");
            float[] expected = new NetworkModel(saved.Network, saved.State).Predict(rows);
            float[] actual = new NetworkModel(imported.Network, imported.State).Predict(rows);
            Assert.IsTrue(expected.Any(float.IsNaN));
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], actual[i], 1e-4f, $"{i} of {network}");
        }
    }

    static IEnumerable<ActivationLayer> Activations =>
        Enum.GetValues<Activation>().Select(function => new ActivationLayer(function));

    [TestMethod]
    public void Statistics_that_a_float_cannot_hold_or_far_from_zero()
    {
        Network network = Network.Input(4, 3).BatchNormalization().Flatten().Dense(2);
        var normalization = new BatchNormalizationState(
            [1e4, -1e6, 0, 5], [0.01, 1, 1e-42, 4], [1, -2, 1e-21f, 0], [1, 2, 3, 4]);
        NetworkState state = Samples.Saved(network).State.With("batch_normalization", new LayerState(normalization));
        Check(new SavedNetwork(network, state), null, 4, 3);
    }

    [TestMethod]
    public void Columns_of_other_shapes_than_the_network_s()
    {
        Check(Network.Input(12).BatchNormalization().Dense(5, useBias: false).Gelu().Dense(2), 3, 2, 2);
        Check(Network.Input(3, 2, 2).Conv2D(2, 2).Flatten().Dense(2), 12);
        Check(Network.Input(1).Dense(1), 1);
        Check(Network.Input(1, 1, 1).Conv2D(1, 1).BatchNormalization(), 1);
        Check(
            Network.Input(3, 4, 5).BatchNormalization(axis: 3).BatchNormalization(axis: 2).Flatten().Dense(2), 3, 4, 5);
    }

    [TestMethod]
    [DataRow(9)]
    [DataRow(10)]
    [DataRow(11)]
    [DataRow(12)]
    public void Every_opset_that_the_converter_offers(int opSet)
    {
        Check(Samples.Saved(Samples.Every), opSet, 2, 8, 7);
        Check(Samples.Saved(Network.Input(2, 8, 7).Gelu().MaxPool2D()), opSet, 2, 8, 7);
    }

    [TestMethod]
    public void What_the_trainers_train_up_to_the_score()
    {
        IDataView rows = Blobs.View(View.ML, count: 60);
        Check(Blobs.Multiclass(View.ML, options => options.Epochs = 2));
        Check(Blobs.Binary(View.ML, options => options.Epochs = 2));
        Check(Blobs.Regression(View.ML, options => options.Epochs = 2));

        void Check<TTransformer>(IEstimator<TTransformer> trainer) where TTransformer : class, ITransformer
        {
            TTransformer model = trainer.Fit(rows);
            object learned = ((IPredictionTransformer<object>)model).Model;
            INetworkModelParameters parameters = learned switch
            {
                CalibratedModelParametersBase<BatchNormNetworkBinaryModelParameters, PlattCalibrator> calibrated =>
                    calibrated.SubModel,
                _ => (INetworkModelParameters)learned,
            };
            AssertSame(
                Exported(model, rows), new SavedNetwork(parameters.Network, parameters.State),
                [.. rows.Rows<float>("Features").SelectMany(row => row)], "Score.output");
        }
    }

    static void Check(Network network, params int[] column) => Check(Samples.Saved(network), null, column);

    static void Check(SavedNetwork saved, int? opSet, params int[] column)
    {
        float[][] rows = View.Floats(5, saved.Network.InputShape.Size);
        IDataView view = View.Vectors(View.Dense(rows), column);
        AssertSame(
            Exported(View.ML.Transforms.ApplyNetwork("Y", saved, inputColumnName: "X").Fit(view), view, opSet), saved,
            [.. rows.SelectMany(row => row)], "Y.output");
    }

    static byte[] Exported(ITransformer transformer, IDataView view, int? opSet = null)
    {
        var stream = new MemoryStream();
        if (opSet is { } version)
            View.ML.Model.ConvertToOnnx(transformer, view, version, stream);
        else
            View.ML.Model.ConvertToOnnx(transformer, view, stream);
        return stream.ToArray();
    }

    static void AssertSame(byte[] file, SavedNetwork original, float[] rows, string output)
    {
        SavedNetwork saved = Reference.Load(file, until: output);
        Assert.AreEqual(Described(original.Network), Described(saved.Network));
        Assert.IsLessThanOrEqualTo(Reference.Tolerance, Reference.Difference(
            new NetworkModel(original.Network, original.State).Predict(rows),
            new NetworkModel(saved.Network, saved.State).Predict(rows)));
    }

    /// <summary>
    /// The layers of a network, as far as an ONNX file has them. A Flatten is only there where the shape changes, and
    /// an input may have that of the column.
    /// </summary>
    static string Described(Network network) => string.Join('\n', network.Nodes
        .Where(node => node.Layer
            is not (DropoutLayer or RandomHorizontalFlipLayer or RandomCropLayer or FlattenLayer))
        .Select(node => $"{Written(node)} {node.Output.Size}"));

    static Layer Written(NetworkNode node) => (node.Layer with { Name = "", Trainable = true }) switch
    {
        BatchNormalizationLayer layer => new BatchNormalizationLayer(new BatchNormalizationOptions
        {
            Axis = layer.AxisIn(node.Input),
            Epsilon = layer.Options.EffectiveEpsilon,
            Momentum = layer.Options.EffectiveMovingStatistics == MovingStatistics.Exponential
                ? layer.Options.EffectiveMomentum
                : BatchNormalizationOptions.Keras.Momentum,
            NonFinite = layer.Options.NonFinite,
        }),
        ActivationLayer { Function: Activation.LeakyReLU } layer => layer with { NegativeSlope = layer.EffectiveSlope },
        Conv2DLayer layer => layer with { Padding = layer.Window.On(node.Input).Padding },
        Pool2DLayer layer => Written(layer, node.Input),
        var layer => layer,
    };

    /// <summary>
    /// What the last windows see beyond the padding is padding in the file, unless means count the padding.
    /// </summary>
    static Pool2DLayer Written(Pool2DLayer layer, TensorShape image)
    {
        Window2D window = layer.Window.On(image);
        long[] padded = window.Padded(image);
        var whole = new Padding2D(
            window.Padding.Top, window.Padding.Left, (int)padded[1] - image[1] - window.Padding.Top,
            (int)padded[2] - image[2] - window.Padding.Left);
        bool isCeiled = layer.Function == Pooling.Average && layer.CountIncludePad && whole != window.Padding;
        return layer with
        {
            Stride = window.Stride, Padding = isCeiled ? window.Padding : whole, CeilMode = isCeiled,
            CountIncludePad = layer.Function == Pooling.Max || layer.CountIncludePad,
        };
    }
}
