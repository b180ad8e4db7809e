using Microsoft.ML.BatchNorm.Tests.Networks;
using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>Networks as graphs: every kind of layer, and every shape of a column.</summary>
[TestClass]
public class NetworkGraphTests
{
    [TestMethod]
    public void Every_kind_of_layer()
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(5, 2 * 8 * 7)), 2, 8, 7);
        OnnxModel model = Check(Samples.Every, images);
        CollectionAssert.DoesNotContain(model.Operators, "Dropout");
        foreach (string type in (string[])
            [
                "Conv", "BatchNormalization", "Relu", "MaxPool", "AveragePool", "LeakyRelu", "Erf", "GlobalAveragePool",
                "Flatten", "Gemm", "Sigmoid", "Tanh", "Add", "Concat", "Mul", "HardSigmoid", "Min",
            ])
        {
            CollectionAssert.Contains(model.Operators, type);
        }
    }

    [TestMethod]
    [DataRow(Activation.SiLU, "Sigmoid Mul")]
    [DataRow(Activation.HardSwish, "HardSigmoid Mul")]
    [DataRow(Activation.HardSigmoid, "HardSigmoid")]
    [DataRow(Activation.ReLU6, "Relu Min")]
    public void An_activation_that_is_exported_as_several_standard_operators(Activation activation, string operators)
    {
        IDataView rows = View.Vectors(View.Dense(View.Floats(40, 6)), 6);
        OnnxModel model = Check(
            Network.Input(6).BatchNormalization().Dense(30).LeakyReLU(5).Add(new ActivationLayer(activation)).Dense(2),
            rows);
        foreach (string type in operators.Split(' '))
            CollectionAssert.Contains(model.Operators, type);
    }

    const string NotFinite = "values that are not finite";

    static IEnumerable<object[]> NamedValues =>
        [["every kind of layer"], [NotFinite], .. Graphs.Names.Select(name => new object[] { name })];

    [TestMethod]
    [DynamicData(nameof(NamedValues))]
    public void A_variable_that_is_named_by_a_layer_s_path_has_the_layer_s_value(string name)
    {
        Network network = name switch
        {
            "every kind of layer" => Samples.Every,
            NotFinite => Enum.GetValues<Activation>().Aggregate(
                Network.Input(2, 8, 7).BatchNormalization(new() { NonFinite = NonFinite.Ignore }).MaxPool2D(),
                (network, activation) => network.Add(new ActivationLayer(activation))),
            _ => Graphs.Named(name),
        };
        float[][] rows = View.Floats(5, network.InputShape.Size);
        if (name == NotFinite)
            (rows[0][0], rows[1][9], rows[2][5]) = (float.NaN, float.NegativeInfinity, float.PositiveInfinity);
        IDataView view = View.Vectors(View.Dense(rows), network.InputShape.Dimensions.ToArray());
        SavedNetwork saved = Samples.Saved(network);
        ApplyNetworkTransformer transformer =
            View.ML.Transforms.ApplyNetwork("Y", saved, inputColumnName: "X").Fit(view);
        NetworkNode[] nodes = [.. network.Nodes.Where(node => !IsLeftOut(node))];
        OnnxModel model = OnnxModel.Of(transformer, view).WithOutputs(nodes.Select(node => $"Y.{node.Path}"));
        Dictionary<string, float[]> values = Exported.Run(model, ColumnValues.Of(view, "X"));

        foreach (NetworkNode node in nodes)
        {
            float[][] inputs = [.. node.Inputs.Select(input => Value(input))];
            float[] expected = node.Layer switch
            {
                AddLayer => [.. Enumerable.Range(0, inputs[0].Length).Select(i => inputs.Sum(input => input[i]))],
                ConcatLayer => [.. Enumerable.Range(0, rows.Length).SelectMany(
                    row => inputs.SelectMany(input => input.Chunk(input.Length / rows.Length).ElementAt(row)))],
                MultiplyLayer => [.. inputs[0].Select(
                    (value, i) => value * inputs[1][i / (inputs[0].Length / inputs[1].Length)])],
                _ => Alone(node, saved.State, inputs[0]),
            };
            string variable = $"Y.{node.Path}";
            Assert.IsTrue(
                model.ComputedFrom(variable).Any(
                    other => !other.StartsWith($"{variable}.", StringComparison.Ordinal)
                        && !other.StartsWith($"{variable}'", StringComparison.Ordinal)),
                $"{name}, {node.Path}: only its own nodes read it");
            float[] actual = values[variable];
            Assert.HasCount(expected.Length, actual, $"{name}, {node.Path}");
            float bound = 1e-6f * expected.Where(float.IsFinite).Max(Math.Abs);
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], actual[i], bound, $"{name}, {node.Path}, {i}");
        }

        float[] Value(int input) => input < 0 ? [.. rows.SelectMany(row => row)]
            : IsLeftOut(network.Nodes[input]) ? Value(network.Nodes[input].Inputs[0])
            : values[$"Y.{network.Nodes[input].Path}"];
    }

    static bool IsLeftOut(NetworkNode node) =>
        node.Layer is DropoutLayer or RandomHorizontalFlipLayer or RandomCropLayer;

    static float[] Alone(NetworkNode node, NetworkState state, float[] inputs)
    {
        Network one = Network.Of(node.Input, node.Layer with { Name = "it" });
        var known = new NetworkState(
            state.TryGet(node.Path) is { } own ? [KeyValuePair.Create("it", own)] : []);
        return new NetworkModel(one, known, foldBatchNormalization: false).Predict(inputs);
    }

    static IEnumerable<object[]> Branching => Graphs.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Branching))]
    public void A_network_that_branches(string name)
    {
        Network network = Graphs.Named(name);
        int[] shape = network.InputShape.Dimensions.ToArray();
        Check(network, View.Vectors(View.Dense(View.Floats(5, network.InputShape.Size)), shape));
    }

    [TestMethod]
    public void Layers_of_images_up_to_one_that_gives_images()
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(3, 2 * 8 * 7)), 2, 8, 7);
        Check(Samples.Every.Until("Größe 大"), images);
    }

    [TestMethod]
    public void A_flat_column_into_a_network_of_images()
    {
        IDataView rows = View.Vectors(View.Dense(View.Floats(3, 2 * 8 * 7)), 112);
        Check(Samples.Every, rows);
    }

    [TestMethod]
    public void A_column_of_images_into_a_network_of_features()
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(7, 12)), 3, 2, 2);
        Check(Network.Input(12).BatchNormalization().Dense(5, useBias: false).Gelu().Dense(2), images);
    }

    [TestMethod]
    public void One_slot_into_one_output()
    {
        IDataView rows = View.Vectors(View.Dense(View.Floats(7, 1)), 1);
        Check(Network.Input(1).Dense(1), rows);
        Check(Network.Input(1, 1, 1).Conv2D(1, 1).BatchNormalization(), rows);
    }

    /// <summary>The figures of docs/numerics.md.</summary>
    [TestMethod]
    [DataRow(700, 1e-6f)]
    [DataRow(20_000, 5e-6f)]
    public void A_wide_layer_differs_by_the_rounding_of_its_sums(int width, float share)
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(20, width)), width);
        ApplyNetworkTransformer transformer = Apply(
            Network.Input(width).Dense(64).BatchNormalization().ReLU().Dense(10, name: "last"), view);
        float[] expected = [.. transformer.Transform(view).GetColumn<float[]>("Y").SelectMany(row => row)];

        float[] actual = Exported.Run(
            OnnxModel.Of(transformer, view).WithOutputs(["Y.last"]), ColumnValues.Of(view, "X"))["Y.last"];

        float bound = share * expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], bound, $"{width}, {i}");
    }

    [TestMethod]
    public void A_network_of_dropout_alone_is_nothing()
    {
        OnnxModel model = Check(Network.Input(3).Dropout(0.5), View.Vectors(View.Dense(View.Floats(2, 3)), 3));
        CollectionAssert.AreEqual(new[] { "Reshape" }, model.Operators);
    }

    [TestMethod]
    [DataRow(9)]
    [DataRow(10)]
    [DataRow(11)]
    [DataRow(12)]
    public void Every_opset_that_the_converter_offers_can_be_asked_for(int opSet)
    {
        IDataView images = View.Vectors(View.Dense(View.Floats(2, 2 * 8 * 7)), 2, 8, 7);
        Network withoutNormalization = Network.Input(2, 8, 7).Gelu().MaxPool2D();
        foreach (ApplyNetworkTransformer transformer in (ApplyNetworkTransformer[])
            [Apply(Samples.Every, images), Apply(withoutNormalization, images)])
        {
            OnnxModel model = OnnxModel.Of(transformer, images, opSet);
            Assert.AreEqual(opSet, model.OpSet);
            Exported.AssertSameValues(model, transformer, images, "Y");
        }
    }

    [TestMethod]
    public void Behind_batch_normalization_of_the_column_and_in_place()
    {
        IDataView rows = View.Vectors(View.Dense(View.Floats(20, 6)), 6);
        var normalization = Layers.Transformer(6);
        Network network = Network.Input(6).Dense(6).ReLU().Dense(6);
        var saved = Samples.Saved(network);
        ITransformer chain = normalization.Append(
            View.ML.Transforms.ApplyNetwork("Y", saved).Fit(normalization.Transform(rows)));
        Exported.AssertSameValues(OnnxModel.Of(chain, rows), chain, rows, "Y");
    }

    static OnnxModel Check(Network network, IDataView view)
    {
        ApplyNetworkTransformer transformer = Apply(network, view);
        OnnxModel model = OnnxModel.Of(transformer, view);
        Exported.AssertSameValues(model, transformer, view, "Y");
        return model;
    }

    static ApplyNetworkTransformer Apply(Network network, IDataView view) => View.ML.Transforms.ApplyNetwork(
        "Y", Samples.Saved(network), inputColumnName: "X").Fit(view);
}
