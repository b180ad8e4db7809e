using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

[TestClass]
public class TransformTests
{
    [TestMethod]
    public void Each_slot_of_a_plain_vector_is_a_channel()
    {
        float[][] rows = View.Floats(50, 7);
        BatchNormalizationTransformer transformer = Layers.Transformer(7);
        AssertMapped(rows, transformer.Transform(View.Vectors(View.Dense(rows), 7)), transformer, [1, 7]);
    }

    [TestMethod]
    public void Doubles_are_mapped_in_double()
    {
        double[][] rows = View.Doubles(50, 7);
        BatchNormalizationTransformer transformer = Layers.Transformer(7);
        AffineMap map = transformer.Columns[0].Map;
        double[][] actual = transformer.Transform(View.Vectors(View.Dense(rows), 7)).Rows<double>("Y");
        for (int i = 0; i < rows.Length; i++)
        {
            double[] expected = new double[7];
            map.Apply(rows[i], expected);
            Agreement.SameBits<double>(expected, actual[i]);
        }
    }

    [TestMethod]
    public void A_scalar_is_one_channel()
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(1);
        AffineMap map = transformer.Columns[0].Map;
        float[] singles = Sample.Floats(20, 3), expected = new float[20];
        double[] doubles = Sample.Doubles(20, 4), wide = new double[20];
        map.Apply(ChannelLayout.Features(20, 1), singles, expected);
        map.Apply(ChannelLayout.Features(20, 1), doubles, wide);
        Agreement.SameBits<float>(
            expected, [.. transformer.Transform(View.Scalars(singles)).GetColumn<float>("Y")]);
        Agreement.SameBits<double>(
            wide, [.. transformer.Transform(View.Scalars(doubles)).GetColumn<double>("Y")]);
    }

    [TestMethod]
    [DataRow(1, 3, DisplayName = "[C, H, W], the first dimension")]
    [DataRow(-1, 5, DisplayName = "[H, W, C], the last dimension")]
    [DataRow(2, 4, DisplayName = "the middle dimension")]
    [DataRow(-3, 3, DisplayName = "the first dimension, from the end")]
    public void A_vector_with_dimensions_is_normalized_over_its_channel_axis(int axis, int channels)
    {
        float[][] rows = View.Floats(11, 60);
        BatchNormalizationTransformer transformer = Layers.Transformer(channels, new() { Axis = axis });
        IDataView output = transformer.Transform(View.Vectors(View.Dense(rows), 3, 4, 5));
        AssertMapped(rows, output, transformer, [1, 3, 4, 5]);
    }

    [TestMethod]
    public void Only_the_channel_axis_must_have_the_size_that_the_layer_knows()
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(3, new() { Axis = 1 });
        float[][] rows = View.Floats(2, 3 * 8 * 9);
        IDataView output = transformer.Transform(View.Vectors(View.Dense(rows), 3, 8, 9));
        AssertMapped(rows, output, transformer, [1, 3, 8, 9]);
    }

    [TestMethod]
    public void Sparse_rows_give_what_the_same_rows_give_when_dense()
    {
        float[][] rows = View.Floats(40, 6);
        var sparse = new VBuffer<float>[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            int[] kept = [.. Enumerable.Range(0, 6).Where(slot => (i >> (slot % 4) & 1) != 0)];
            sparse[i] = new VBuffer<float>(6, kept.Length, [.. kept.Select(slot => rows[i][slot])], kept);
            for (int slot = 0; slot < 6; slot++)
                rows[i][slot] = kept.Contains(slot) ? rows[i][slot] : 0;
        }
        BatchNormalizationTransformer transformer = Layers.Transformer(6);
        AssertMapped(rows, transformer.Transform(View.Vectors(sparse, 6)), transformer, [1, 6]);
    }

    [TestMethod]
    public void Several_columns_have_each_their_own_layer_and_may_replace_their_input()
    {
        float[][] rows = View.Floats(9, 4);
        BatchNormalizationTransformer transformer = Layers.Transformer(
            Layers.Column(4, output: "X", seed: 20), Layers.Column(4, BatchNormalizationOptions.PyTorch, "Z", "X", 30));
        IDataView output = transformer.Transform(View.Vectors(View.Dense(rows), 4));
        AssertMapped(rows, output, transformer, [1, 4], column: 0);
        AssertMapped(rows, output, transformer, [1, 4], column: 1);
    }

    [TestMethod]
    public void A_value_that_is_not_finite_is_named_by_column_row_and_slot()
    {
        float[][] rows = View.Floats(5, 3);
        rows[2][1] = float.NaN;
        IDataView output = Layers.Transformer(3).Transform(View.Vectors(View.Dense(rows), 3));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => output.Rows<float>("Y"));
        StringAssert.Contains(error.Message, "Column 'X' is not finite: row 2, slot 1 has NaN");
    }

    [TestMethod]
    public void A_value_that_is_not_finite_passes_where_the_options_ignore_it()
    {
        float[][] rows = View.Floats(5, 3);
        rows[2][1] = float.PositiveInfinity;
        BatchNormalizationTransformer transformer = Layers.Transformer(3, new() { NonFinite = NonFinite.Ignore });
        IDataView output = transformer.Transform(View.Vectors(View.Dense(rows), 3));
        AssertMapped(rows, output, transformer, [1, 3]);
        Assert.AreEqual(float.PositiveInfinity, output.Rows<float>("Y")[2][1]);
    }

    [TestMethod]
    public void Sixteen_threads_on_one_transformer_get_the_same_bits()
    {
        float[][] rows = View.Floats(400, 12);
        BatchNormalizationTransformer transformer = Layers.Transformer(4, new() { Axis = 1 });
        IDataView input = View.Vectors(View.Dense(rows), 4, 3), shared = transformer.Transform(input);
        float[] expected = [.. shared.Rows<float>("Y").SelectMany(row => row)];
        var threads = new Thread[16];
        var results = new float[threads.Length][];
        for (int i = 0; i < threads.Length; i++)
        {
            int own = i;
            threads[i] = new Thread(() => results[own] =
                [.. (own % 2 == 0 ? shared : transformer.Transform(input)).Rows<float>("Y").SelectMany(row => row)]);
        }
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        foreach (float[] result in results)
            Agreement.SameBits<float>(expected, result);
    }

    [TestMethod]
    public void A_prediction_engine_gives_the_same_bits()
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(3);
        using var engine = View.ML.Model.CreatePredictionEngine<Input, Output>(transformer);
        foreach (float[] row in View.Floats(10, 3))
        {
            float[] expected = new float[3];
            transformer.Columns[0].Map.Apply(row, expected);
            Agreement.SameBits<float>(expected, engine.Predict(new Input { X = row }).Y);
        }
    }

    static void AssertMapped(
        float[][] rows, IDataView output, BatchNormalizationTransformer transformer, int[] shape, int column = 0)
    {
        BatchNormalizationColumn layer = transformer.Columns[column];
        float[][] actual = output.Rows<float>(layer.OutputColumnName);
        Assert.AreEqual(rows.Length, actual.Length);
        var layout = new ChannelLayout(shape, layer.Axis);
        for (int i = 0; i < rows.Length; i++)
        {
            float[] expected = new float[rows[i].Length];
            layer.Map.Apply(layout, rows[i], expected);
            Agreement.SameBits<float>(expected, actual[i], $"row {i}");
        }
    }

    sealed class Input
    {
        [VectorType(3)]
        public float[] X { get; set; } = [];
    }

    sealed class Output
    {
        public float[] Y { get; set; } = [];
    }
}
