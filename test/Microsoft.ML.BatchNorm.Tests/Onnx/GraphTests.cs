using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

[TestClass]
public class GraphTests
{
    [TestMethod]
    public void A_plain_vector_becomes_one_operator_of_the_standard_domain()
    {
        OnnxModel model = OnnxModel.Of(Near(7), View.Vectors(View.Dense(View.Floats(2, 7)), 7));
        CollectionAssert.AreEqual(new[] { "BatchNormalization" }, model.Operators);
        OnnxNode node = model.Normalizations.Single();
        Assert.AreEqual("", node.Domain);
        CollectionAssert.AreEquivalent(new[] { "epsilon", "momentum" }, node.Attributes.ToArray());
        Assert.AreEqual(1e-3f, node.Single("epsilon"));
        Assert.AreEqual(0.99f, node.Single("momentum"));
        Assert.HasCount(5, node.Inputs);
        Assert.HasCount(1, node.Outputs);
    }

    [TestMethod]
    public void The_operators_numbers_are_the_layers()
    {
        BatchNormalizationTransformer transformer = Near(4);
        OnnxModel model = OnnxModel.Of(transformer, View.Vectors(View.Dense(View.Floats(2, 4)), 4));
        BatchNormalizationState state = transformer.GetState("Y");
        string[] constants = model.Normalizations.Single().Inputs[1..];
        double[][] numbers = Array.ConvertAll(constants, name => model.Constants[name].Values);
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
            Layers.Transformer(new BatchNormalizationColumn("Y", "X", options, state)),
            View.Vectors(View.Dense(View.Floats(2, 2)), 2));
        OnnxNode node = model.Normalizations.Single();
        Agreement.Within(2e-7, [1, 1], model.Constants[node.Inputs[1]].Values);
        Agreement.Within(0, [0, 0], model.Constants[node.Inputs[2]].Values);
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
        Assert.AreEqual(opSet, model.OpSets[""]);
        CollectionAssert.AreEqual(new[] { "BatchNormalization" }, model.Operators);
        Exported.AssertSameValues(model, Near(3), view, digits: 2, "Y");
    }

    [TestMethod]
    public void An_opset_in_which_the_operator_has_another_form_is_refused()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(2, 3)), 3);
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => OnnxModel.Of(Near(3), view, 8));
        StringAssert.Contains(error.Message, "lower than the minimum required OpSet version 9");
    }

    [TestMethod]
    public void The_converters_own_opset_is_one_in_which_the_operator_has_no_mode()
    {
        OnnxModel model = OnnxModel.Of(Near(3), View.Vectors(View.Dense(View.Floats(2, 3)), 3));
        Assert.IsTrue(model.OpSets[""] is >= 9 and <= 13);
    }

    [TestMethod]
    public void Inputs_and_outputs_have_the_shapes_of_the_columns_batch_first()
    {
        OnnxModel images = OnnxModel.Of(
            Near(5, axis: -1), View.Vectors(View.Dense(View.Floats(2, 60)), 3, 4, 5));
        AssertVariable(images.Inputs.Single(), "X", Element.Single, -1, 3, 4, 5);
        AssertVariable(Output(images), "Y.output", Element.Single, -1, 3, 4, 5);

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
        CollectionAssert.AreEqual(there, model.Nodes[0].Integers("perm"));
        CollectionAssert.AreEqual(back, model.Nodes[2].Integers("perm"));
    }

    [TestMethod]
    public void A_mean_far_from_zero_is_subtracted_before_the_operator()
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.PyTorch;
        var state = new BatchNormalizationState([1e4, 0], [0.01, 1], [1, 1], [0, 0]);
        OnnxModel model = OnnxModel.Of(
            Layers.Transformer(new BatchNormalizationColumn("Y", "X", options, state)),
            View.Vectors(View.Dense(View.Floats(2, 2)), 2));
        CollectionAssert.AreEqual(new[] { "Sub", "BatchNormalization" }, model.Operators);
    }

    [TestMethod]
    public void Momentum_is_that_of_a_moving_average_and_of_nothing_else()
    {
        OnnxModel model = OnnxModel.Of(
            Layers.Transformer(3, new() { MovingStatistics = MovingStatistics.Population }),
            View.Vectors(View.Dense(View.Floats(2, 3)), 3));
        CollectionAssert.AreEqual(new[] { "epsilon" }, model.Normalizations.Single().Attributes.ToArray());
    }

    [TestMethod]
    public void A_columns_name_is_never_taken_from_it_by_a_constant()
    {
        IDataView view = View.Vectors(View.Dense(View.Floats(4, 3)), 3);
        ITransformer chain = Layers.Transformer(Column("Y.Scale", "X"))
            .Append(Layers.Transformer(Column("Y", "X")))
            .Append(Layers.Transformer(Column("Z", "Y.Scale")));
        Exported.AssertSameValues(OnnxModel.Of(chain, view), chain, view, digits: 2, "Y", "Y.Scale", "Z");
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
        return Layers.Transformer(new BatchNormalizationColumn("Y", "X", options, state));
    }

    static OnnxVariable Output(OnnxModel model) => model.Outputs.Single(output => output.Name == "Y.output");

    static void AssertVariable(OnnxVariable variable, string name, Element element, params long[] shape)
    {
        Assert.AreEqual(name, variable.Name);
        Assert.AreEqual(element, variable.Element);
        CollectionAssert.AreEqual(shape, variable.Shape);
    }
}
