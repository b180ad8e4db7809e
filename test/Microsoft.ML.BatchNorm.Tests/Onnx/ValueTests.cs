using Microsoft.ML.BatchNorm.Tests.Transformer;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

[TestClass]
public class ValueTests
{
    [TestMethod]
    public void Vectors() =>
        Exported.AssertSameValues(Layers.Transformer(7), View.Vectors(View.Dense(View.Floats(200, 7)), 7));

    [TestMethod]
    public void Doubles_stay_double() =>
        Exported.AssertSameValues(Layers.Transformer(7), View.Vectors(View.Dense(View.Doubles(200, 7)), 7));

    [TestMethod]
    public void Scalars()
    {
        Exported.AssertSameValues(Layers.Transformer(1), View.Scalars(Sample.Floats(200, 3)));
        Exported.AssertSameValues(Layers.Transformer(1), View.Scalars(Sample.Doubles(200, 3)));
    }

    [TestMethod]
    public void Sparse_rows()
    {
        VBuffer<float>[] rows = [.. Enumerable.Range(1, 50).Select(i => new VBuffer<float>(6, 2, [i, -i], [i % 3, 5]))];
        Exported.AssertSameValues(Layers.Transformer(6), View.Vectors(rows, 6));
    }

    [TestMethod]
    [DataRow(1, 3, DisplayName = "[C, H, W]")]
    [DataRow(-1, 5, DisplayName = "[H, W, C]")]
    [DataRow(2, 4, DisplayName = "[H, C, W]")]
    public void Vectors_with_dimensions(int axis, int channels)
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(channels, new() { Axis = axis });
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(View.Floats(9, 60)), 3, 4, 5));
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(View.Doubles(9, 60)), 3, 4, 5));
    }

    [TestMethod]
    public void Two_dimensions_and_five()
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(4, new() { Axis = -1 });
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(View.Floats(9, 12)), 3, 4));
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(View.Floats(9, 96)), 2, 3, 2, 2, 4));
    }

    [TestMethod]
    public void One_slot_in_three_dimensions() =>
        Exported.AssertSameValues(
            Layers.Transformer(1, new() { Axis = -1 }), View.Vectors(View.Dense(View.Floats(9, 1)), 1, 1, 1));

    [TestMethod]
    public void A_layer_with_unusual_options()
    {
        Exported.AssertSameValues(
            Layers.Transformer(5, StoredOptions.Unusual), View.Vectors(View.Dense(View.Floats(50, 5)), 5));
        Exported.AssertSameValues(
            Layers.Transformer(5, StoredOptions.Bare), View.Vectors(View.Dense(View.Floats(50, 5)), 5));
    }

    [TestMethod]
    public void A_column_in_place() =>
        Exported.AssertSameValues(
            Layers.Transformer(Layers.Column(5, output: "X")),
            View.Vectors(View.Dense(View.Floats(50, 5)), 5), "X");

    [TestMethod]
    public void One_input_of_several_columns_one_of_them_in_place() =>
        Exported.AssertSameValues(
            Layers.Transformer(
                Layers.Column(5, output: "X", seed: 21),
                Layers.Column(5, output: "Y", seed: 31),
                Layers.Column(5, output: "Z", seed: 41)),
            View.Vectors(View.Dense(View.Floats(50, 5)), 5), "X", "Y", "Z");

    [TestMethod]
    public void Two_columns_that_swap_their_names()
    {
        IDataView view = View.ML.Data.LoadFromEnumerable(
            Enumerable.Range(0, 20).Select(i => new { A = i * 0.1f, B = 1 - i * 0.2f }));
        Exported.AssertSameValues(
            Layers.Transformer(
                Layers.Column(1, output: "B", input: "A", seed: 21),
                Layers.Column(1, output: "A", input: "B", seed: 31)),
            view, "A", "B");
    }

    [TestMethod]
    [DataRow(-1, DisplayName = "[H, W, C]")]
    [DataRow(1, DisplayName = "[C, H, W]")]
    public void Mean_1e4_and_deviation_a_tenth_keep_a_floats_digits(int axis)
    {
        BatchNormalizationTransformer transformer = Transformer([10000.0001, -9999.9997, 3], [0.01, 0.012, 1], axis);
        float[] values = Sample.Floats(300, 7, mean: 1e4, deviation: 0.1);
        OnnxModel model = Exported.AssertSameValues(
            Transformer([10000.0001], [0.01]), View.Vectors(View.Dense(values.Chunk(1).ToArray()), 1));
        CollectionAssert.Contains(model.Operators, "Sub");

        int[] dimensions = axis < 0 ? [2, 2, 3] : [3, 2, 2];
        float[][] rows = [.. Enumerable.Range(0, 40).Select(row => Enumerable.Range(0, 12).Select(i =>
            (axis < 0 ? i % 3 : i / 4) switch
            {
                0 => values[row * 7 + i % 4],
                1 => -values[row * 7 + i % 4],
                _ => values[row] - 9997,
            }).ToArray())];
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(rows), dimensions));
    }

    [TestMethod]
    [DataRow(1e-12, 0.0)]
    [DataRow(1e-44, 0.0, DisplayName = "a variance that no normal float holds")]
    [DataRow(1e-60, 0.0, DisplayName = "a variance that is zero in float")]
    [DataRow(0.0, 1e-3)]
    [DataRow(0.0, 1e-45, DisplayName = "an epsilon that no normal float holds")]
    [DataRow(1e-7, 1e-7)]
    [DataRow(1e37, 1e-3)]
    [DataRow(1e50, 1e-3, DisplayName = "a variance beyond the greatest float")]
    public void Variances_and_epsilons_of_any_size_keep_their_scale(double variance, double epsilon)
    {
        double deviation = Math.Sqrt(variance + epsilon);
        BatchNormalizationTransformer transformer =
            Transformer([deviation, -deviation], [variance, variance], epsilon: epsilon);
        double[][] rows = [.. Sample.Doubles(80, 3, deviation, 2 * deviation).Chunk(2)];
        float[][] singles = Array.ConvertAll(rows, row => Array.ConvertAll(row, value => (float)value));
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(rows), 2));
        OnnxModel model = Exported.AssertSameValues(transformer, View.Vectors(View.Dense(singles), 2));
        CollectionAssert.AreEqual(new[] { "BatchNormalization" }, model.Operators);
    }

    [TestMethod]
    public void A_channel_without_variance_and_epsilon_becomes_beta()
    {
        BatchNormalizationTransformer transformer = Transformer([0.1, 2], [0, 1], epsilon: 0);
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(View.Floats(20, 2)), 2));
        Exported.AssertSameValues(transformer, View.Vectors(View.Dense(View.Doubles(20, 2)), 2));
    }

    [TestMethod]
    public void Floats_whose_map_no_float_holds_are_normalized_in_double()
    {
        BatchNormalizationTransformer transformer = Transformer([2e-42, 1], [1e-84, 1], epsilon: 0);
        float[][] rows = [[1e-42f, 1.5f], [3e-42f, -2], [2e-42f, 0]];
        OnnxModel model = Exported.AssertSameValues(transformer, View.Vectors(View.Dense(rows), 2));
        CollectionAssert.AreEqual(new[] { "Cast", "BatchNormalization", "Cast" }, model.Operators);
    }

    static BatchNormalizationTransformer Transformer(
        double[] mean, double[] variance, int axis = -1, double epsilon = 1e-5)
    {
        BatchNormalizationOptions options = new() { Axis = axis, Epsilon = epsilon };
        var state = new BatchNormalizationState(
            mean, variance, Sample.Floats(mean.Length, 3, 1, 0.3), Sample.Floats(mean.Length, 4));
        return Layers.Transformer(Layers.Column(options, state));
    }
}
