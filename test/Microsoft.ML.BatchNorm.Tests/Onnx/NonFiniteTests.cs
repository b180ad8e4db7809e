using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>NaN and infinite values where the layer ignores them.</summary>
[TestClass]
public class NonFiniteTests
{
    static readonly float[] Special = [float.PositiveInfinity, float.NegativeInfinity, float.NaN, 1.5f, -20, 0];

    [TestMethod]
    [DataRow(0.25, 1.0)]
    [DataRow(1e4, 1.0, DisplayName = "a mean far from zero")]
    [DataRow(1e-42, 1e-84, DisplayName = "numbers that no float holds")]
    public void Of_features_they_pass_through_whatever_gamma(double mean, double variance)
    {
        BatchNormalizationTransformer transformer = Transformer(new() { Epsilon = 0 }, mean, variance, 1.5f, -2, 0);
        float[][] rows = Array.ConvertAll(Special, value => new[] { value, value, value });
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(rows), 3));
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(Widen(rows)), 3));
    }

    [TestMethod]
    [DataRow(1, DisplayName = "[C, H, W]")]
    [DataRow(-1, DisplayName = "[H, W, C]")]
    public void Of_images_they_pass_through_beside_values_that_are_normalized(int axis)
    {
        BatchNormalizationTransformer transformer = Transformer(new() { Axis = axis }, 0.25, 1, -2, 0);
        float[][] rows = View.Floats(6, 12);
        for (int i = 0; i < 12; i++)
            rows[i / 2][i] = Special[i % 6];
        int[] dimensions = axis < 0 ? [3, 2, 2] : [2, 2, 3];
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(rows), dimensions));
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(Widen(rows)), dimensions));
    }

    [TestMethod]
    public void Of_scalars_and_without_gamma_and_beta()
    {
        BatchNormalizationOptions options = new() { Scale = false, Center = false, NonFinite = NonFinite.Ignore };
        BatchNormalizationTransformer transformer = Layers.Transformer(
            Layers.Column(options, new BatchNormalizationState([0.25], [4])));
        Exported.AssertSameValues(transformer, View.Scalars(Special));
        Exported.AssertSameValues(transformer, View.Scalars(Array.ConvertAll(Special, value => (double)value)));
    }

    [TestMethod]
    public void Behind_a_dense_layer_and_a_convolution()
    {
        BatchNormalizationOptions options = new() { Axis = 1, NonFinite = NonFinite.Ignore };
        var negative = new LayerState(new BatchNormalizationState([0.25, 0], [4, 1], [-2, 0], [0.5f, 3]));
        foreach ((Network network, int[] dimensions) in new[]
            {
                (Network.Input(2).Dense(2), new[] { 2 }), (Network.Input(2, 1, 1).Conv2D(2, 1), [2, 1, 1]),
            })
        {
            Network both = network.BatchNormalization(options);
            SavedNetwork saved = Samples.Saved(both);
            Check(saved with { State = saved.State.With("batch_normalization", negative) }, dimensions);
        }
    }

    [TestMethod]
    public void In_activations()
    {
        Network input = Network.Input(1).BatchNormalization(new() { Axis = 1, NonFinite = NonFinite.Ignore });
        Check(Samples.Saved(input.LeakyReLU(0)), 1);
        foreach (Activation activation in Enum.GetValues<Activation>())
            Check(Samples.Saved(input.Add(new ActivationLayer(activation))), 1);
    }

    [TestMethod]
    public void In_pooling()
    {
        Network input = Network.Input(1, 2, 3).BatchNormalization(new() { Axis = 1, NonFinite = NonFinite.Ignore });
        foreach (Network network in (Network[])
            [input.MaxPool2D(2, (1, 1)), input.AveragePool2D(2, (1, 1)), input.GlobalAveragePool2D()])
        {
            Check(Samples.Saved(network), 1, 2, 3);
        }
    }

    static void Check(SavedNetwork saved, params int[] dimensions)
    {
        int size = dimensions.Aggregate((x, y) => x * y);
        float[][] rows = View.Floats(Special.Length * size, size);
        for (int i = 0; i < rows.Length; i++)
            rows[i][i % size] = Special[i / size];
        IDataView view = View.Vectors(View.Dense(rows), dimensions);
        ApplyNetworkTransformer transformer =
            View.ML.Transforms.ApplyNetwork("Y", saved, inputColumnName: "X").Fit(view);
        Exported.AssertSameValues(OnnxModel.Of(transformer, view), transformer, view, "Y");
    }

    static BatchNormalizationTransformer Transformer(
        BatchNormalizationOptions options, double mean, double variance, params float[] gamma)
    {
        options = options with { NonFinite = NonFinite.Ignore };
        double[] Each(double value) => Array.ConvertAll(gamma, _ => value);
        var state = new BatchNormalizationState(Each(mean), Each(variance), gamma, Sample.Floats(gamma.Length, 4));
        return Layers.Transformer(Layers.Column(options, state));
    }

    static double[][] Widen(float[][] rows) =>
        Array.ConvertAll(rows, row => Array.ConvertAll(row, value => (double)value));
}
