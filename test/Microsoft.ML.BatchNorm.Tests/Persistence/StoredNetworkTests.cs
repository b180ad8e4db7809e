using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Models that version 1 wrote are kept beside the tests, and load for ever.</summary>
[TestClass]
public class StoredNetworkTests
{
    [TestMethod]
    public void A_multiclass_model_of_version_1_has_every_value()
    {
        var model = (MulticlassPredictionTransformer<BatchNormNetworkMulticlassModelParameters>)
            Load("multiclass-1.zip");
        AssertSame(Saved(3), model.Model.Network, model.Model.State);
        Assert.AreEqual("X", model.FeatureColumnName);
    }

    [TestMethod]
    public void A_binary_model_of_version_1_has_every_value()
    {
        var model = (BinaryPredictionTransformer<
            CalibratedModelParametersBase<BatchNormNetworkBinaryModelParameters, PlattCalibrator>>)Load("binary-1.zip");
        AssertSame(Saved(1), model.Model.SubModel.Network, model.Model.SubModel.State);
        Assert.AreEqual((-1, 0), (model.Model.Calibrator.Slope, model.Model.Calibrator.Offset));
    }

    [TestMethod]
    public void A_regression_model_of_version_1_has_every_value()
    {
        var model = (RegressionPredictionTransformer<BatchNormNetworkRegressionModelParameters>)
            Load("regression-1.zip");
        AssertSame(Saved(1), model.Model.Network, model.Model.State);
    }

    [TestMethod]
    public void The_layers_of_a_network_of_version_1_have_every_value()
    {
        var transformer = (ApplyNetworkTransformer)Load("layers-1.zip");
        AssertSame(Saved(2), transformer.Network, transformer.State);
        Assert.AreEqual(("Y", "X"), (transformer.OutputColumnName, transformer.InputColumnName));
    }

    /// <summary>Every kind of layer, with values that are the same for ever.</summary>
    internal static SavedNetwork Saved(int outputs)
    {
        Network network = Network.Input(2, 4, 5)
            .Conv2D(3, (2, 3), stride: (1, 2), padding: (1, 1), useBias: false)
            .BatchNormalization(StoredOptions.Unusual)
            .ReLU()
            .MaxPool2D((2, 2), stride: 1)
            .Append(
                Network.Input(3, 4, 2).BatchNormalization(BatchNormalizationOptions.PyTorch).LeakyReLU(0.125), "inner")
            .AveragePool2D((2, 1))
            .Dropout(0.5)
            .Flatten()
            .Dense(4).Gelu().Dense(4).Sigmoid().Dense(4).Tanh()
            .Dense(outputs)
            .Freeze("inner");
        int seed = 0;
        return new SavedNetwork(network, new NetworkState(network.Nodes
            .Where(node => network.Initialize().TryGet(node.Path) is not null)
            .Select(node => KeyValuePair.Create(node.Path, State(node, network.Initialize()[node.Path], ++seed)))));
    }

    static LayerState State(NetworkNode node, LayerState first, int seed)
    {
        if (node.Layer is not BatchNormalizationLayer layer)
            return new LayerState(Values(first.Kernel.Length, seed), Values(first.Bias.Length, seed + 1));
        BatchNormalizationState state = first.BatchNormalization!;
        double[] mean = Array.ConvertAll(Values(state.Channels, seed), value => (double)value);
        double[] variance = Array.ConvertAll(mean, value => 1 + value * value);
        return new LayerState(new BatchNormalizationState(
            mean, variance, Values(state.Gamma.Length, seed + 1), Values(state.Beta.Length, seed + 2), seed,
            layer.Options.Renorm is null ? null : new RenormStatistics(variance, mean, variance)));
    }

    static float[] Values(int count, int seed) =>
        [.. Enumerable.Range(0, count).Select(i => ((i + seed) * 5 % 17 - 8) / 16f)];

    static ITransformer Load(string name) => View.ML.Model.Load(
        Path.Combine(AppContext.BaseDirectory, "Persistence", "Files", name), out _);

    static void AssertSame(SavedNetwork expected, Network network, NetworkState state)
    {
        Assert.AreEqual(expected.Network, network);
        Assert.AreEqual(expected.State, state);
    }
}
