using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;
using static Microsoft.ML.Model.OnnxConverter.OnnxCSharpToProtoWrapper;
using Element = Microsoft.ML.Model.OnnxConverter.OnnxCSharpToProtoWrapper.TensorProto.Types.DataType;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

[TestClass]
public class GraphTests
{
    [TestMethod]
    public void A_plain_vector_becomes_one_operator_of_the_standard_domain()
    {
        OnnxModel model = OnnxModel.Of(Near(7), View.Vectors(View.Dense(View.Floats(2, 7)), 7));
        CollectionAssert.AreEqual(new[] { "BatchNormalization" }, model.Operators);
        NodeProto node = model.Normalization;
        Assert.AreEqual("", node.Domain);
        Assert.HasCount(2, node.Attribute);
        Assert.AreEqual(1e-3f, Attribute(node, "epsilon").F);
        Assert.AreEqual(0.99f, Attribute(node, "momentum").F);
        Assert.HasCount(5, node.Input);
        Assert.HasCount(1, node.Output);
    }

    [TestMethod]
    public void The_operators_numbers_are_the_layers()
    {
        BatchNormalizationTransformer transformer = Near(4);
        OnnxModel model = OnnxModel.Of(transformer, View.Vectors(View.Dense(View.Floats(2, 4)), 4));
        BatchNormalizationState state = transformer.GetState("Y");
        float[][] numbers = [.. model.Normalization.Input.Skip(1).Select(name => Floats(model, name))];
        Agreement.Within(2e-7, Sample.Widen(state.Gamma), numbers[0], "scale");
        Agreement.Within(2e-7, Sample.Widen(state.Beta), numbers[1], "B");
        Agreement.Within(2e-7, state.MovingMean, numbers[2], "mean");
        Agreement.Within(2e-7, state.MovingVariance, numbers[3], "var");
    }

    [TestMethod]
    public void A_layer_without_scale_and_center_has_ones_and_zeros()
    {
        BatchNormalizationOptions options = new() { Scale = false, Center = false };
        var state = new BatchNormalizationState([0.5, 0], [1, 4]);
        OnnxModel model = OnnxModel.Of(
            Layers.Transformer(Layers.Column(options, state)),
            View.Vectors(View.Dense(View.Floats(2, 2)), 2));
        NodeProto node = model.Normalization;
        Agreement.Within(2e-7, [1, 1], Floats(model, node.Input[1]));
        Agreement.Within(0, [0, 0], Floats(model, node.Input[2]));
    }

    [TestMethod]
    [DataRow(9)]
    [DataRow(10)]
    [DataRow(11)]
    [DataRow(12)]
    public void Every_opset_that_the_converter_offers_can_be_asked_for(int opSet)
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(2, 3)), 3);
        OnnxModel model = OnnxModel.Of(Near(3), view, opSet);
        Assert.AreEqual(opSet, model.OpSet);
        CollectionAssert.AreEqual(new[] { "BatchNormalization" }, model.Operators);
        Exported.AssertSameValues(model, Near(3), view, "Y");
    }

    [TestMethod]
    public void An_opset_in_which_the_operator_has_another_form_is_refused()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(2, 3)), 3);
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => OnnxModel.Of(Near(3), view, 8));
        StringAssert.Contains(error.Message, "lower than the minimum required OpSet version 9");
    }

    [TestMethod]
    public void An_opset_beyond_the_converters_is_refused_by_it()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(2, 3)), 3);
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => OnnxModel.Of(Near(3), view, 13));
        StringAssert.Contains(error.Message, "higher than the current most updated OpSet version 12");
    }

    [TestMethod]
    public void The_converters_own_opset_is_its_last() =>
        Assert.AreEqual(12, OnnxModel.Of(Near(3), View.Vectors(View.Dense(View.Floats(2, 3)), 3)).OpSet);

    [TestMethod]
    public void Inputs_and_outputs_have_the_shapes_of_the_columns_batch_first()
    {
        OnnxModel images = OnnxModel.Of(
            Near(5, axis: -1), View.Vectors(View.Dense(View.Floats(2, 60)), 3, 4, 5));
        AssertVariable(images.Inputs.Single(), "X", Element.Float, -1, 3, 4, 5);
        AssertVariable(Output(images), "Y.output", Element.Float, -1, 3, 4, 5);

        OnnxModel scalars = OnnxModel.Of(Near(1), View.Scalars(1.0, 2.0));
        AssertVariable(scalars.Inputs.Single(), "X", Element.Double, -1, 1);
        AssertVariable(Output(scalars), "Y.output", Element.Double, -1, 1);
    }

    [TestMethod]
    [DataRow(1, 3, DisplayName = "[C, H, W]")]
    [DataRow(-3, 3, DisplayName = "[C, H, W], from the end")]
    public void Channels_on_the_second_axis_are_not_transposed(int axis, int channels)
    {
        OnnxModel model = OnnxModel.Of(Near(channels, axis), View.Vectors(View.Dense(View.Floats(2, 60)), 3, 4, 5));
        CollectionAssert.AreEqual(new[] { "BatchNormalization" }, model.Operators);
    }

    [TestMethod]
    [DataRow(-1, 5, new long[] { 0, 3, 1, 2 }, new long[] { 0, 2, 3, 1 }, DisplayName = "[H, W, C]")]
    [DataRow(3, 5, new long[] { 0, 3, 1, 2 }, new long[] { 0, 2, 3, 1 }, DisplayName = "[H, W, C], from the start")]
    [DataRow(2, 4, new long[] { 0, 2, 1, 3 }, new long[] { 0, 2, 1, 3 }, DisplayName = "[H, C, W]")]
    public void Channels_on_another_axis_are_transposed_there_and_back(
        int axis, int channels, long[] there, long[] back)
    {
        OnnxModel model = OnnxModel.Of(Near(channels, axis), View.Vectors(View.Dense(View.Floats(2, 60)), 3, 4, 5));
        CollectionAssert.AreEqual(new[] { "Transpose", "BatchNormalization", "Transpose" }, model.Operators);
        CollectionAssert.AreEqual(there, Attribute(model.Nodes[0], "perm").Ints);
        CollectionAssert.AreEqual(back, Attribute(model.Nodes[2], "perm").Ints);
    }

    [TestMethod]
    public void A_mean_far_from_zero_is_subtracted_before_the_operator()
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.PyTorch;
        var state = new BatchNormalizationState([1e4, 0], [0.01, 1], [1, 1], [0, 0]);
        OnnxModel model = OnnxModel.Of(
            Layers.Transformer(Layers.Column(options, state)),
            View.Vectors(View.Dense(View.Floats(2, 2)), 2));
        CollectionAssert.AreEqual(new[] { "Sub", "BatchNormalization" }, model.Operators);
    }

    [TestMethod]
    public void Momentum_is_that_of_a_moving_average_and_of_nothing_else()
    {
        OnnxModel model = OnnxModel.Of(
            Layers.Transformer(3, new() { MovingStatistics = MovingStatistics.Population }),
            View.Vectors(View.Dense(View.Floats(2, 3)), 3));
        Assert.AreEqual("epsilon", model.Normalization.Attribute.Single().Name);
    }

    [TestMethod]
    public void A_columns_name_is_never_taken_from_it_by_a_constant()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(4, 3)), 3);
        ITransformer chain = Layers.Transformer(Column("Y.Scale", "X"))
            .Append(Layers.Transformer(Column("Y", "X")))
            .Append(Layers.Transformer(Column("Z", "Y.Scale")));
        Exported.AssertSameValues(OnnxModel.Of(chain, view), chain, view, "Y", "Y.Scale", "Z");
    }

    [TestMethod]
    [DataRow("Größe 大")]
    [DataRow("a b/c\"d'")]
    [DataRow(".")]
    [DataRow("BatchNormalization")]
    public void A_column_may_have_any_name(string name)
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(4, 3)), 3);
        ITransformer chain = Layers.Transformer(Column(name, "X"))
            .Append(Layers.Transformer(Column("Y", name)))
            .Append(Layers.Transformer(Column(name, "Y")))
            .Append(Layers.Transformer(Column(name + ".Scale", name)));
        Exported.AssertSameValues(OnnxModel.Of(chain, view), chain, view, "Y", name, name + ".Scale");
    }

    static BatchNormalizationColumn Column(string output, string input) =>
        Layers.Column(3, output: output, input: input);

    /// <summary>A layer whose means are within two deviations of zero.</summary>
    static BatchNormalizationTransformer Near(int channels, int axis = -1)
    {
        BatchNormalizationOptions options = new() { Axis = axis };
        double[] variance = Array.ConvertAll(Sample.Doubles(channels, 2), value => 1 + value * value);
        double[] mean = [.. Sample.Doubles(channels, 1).Select(value => Math.Clamp(value, -2, 2))];
        var state = new BatchNormalizationState(
            mean, variance, Sample.Floats(channels, 3, 1, 0.3), Sample.Floats(channels, 4));
        return Layers.Transformer(Layers.Column(options, state));
    }

    static AttributeProto Attribute(NodeProto node, string name) =>
        node.Attribute.Single(attribute => attribute.Name == name);

    static float[] Floats(OnnxModel model, string constant) => [.. model.Constant(constant).FloatData];

    static ValueInfoProto Output(OnnxModel model) => model.Outputs.Single(output => output.Name == "Y.output");

    static void AssertVariable(ValueInfoProto variable, string name, Element element, params long[] shape)
    {
        Assert.AreEqual(name, variable.Name);
        Assert.AreEqual((int)element, variable.Type.TensorType.ElemType);
        CollectionAssert.AreEqual(shape, variable.Type.TensorType.Shape.Dim.Select(size => size.DimValue).ToArray());
    }
}
