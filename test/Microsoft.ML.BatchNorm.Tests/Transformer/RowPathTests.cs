using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>Row by row, in place, by whichever kernel: the bits of the map over the whole array.</summary>
[TestClass]
public class RowPathTests
{
    [TestMethod]
    public void A_row_of_any_length_has_the_bits_of_the_whole_array()
    {
        foreach (int length in (int[])[.. Enumerable.Range(1, 140), 511, 512, 1023, 1025, 2500])
        {
            AssertWhole(View.Floats(3, length), [length], -1, length);
            AssertWhole(View.Doubles(3, length), [length], -1, length);
        }
    }

    [TestMethod]
    [DataRow(1, 3, DisplayName = "[C, H, W]")]
    [DataRow(2, 37, DisplayName = "[H, C, W]")]
    [DataRow(-1, 5, DisplayName = "[H, W, C]")]
    public void A_row_with_dimensions_has_the_bits_of_the_whole_array(int axis, int channels)
    {
        AssertWhole(View.Floats(3, 555), [3, 37, 5], axis, channels);
        AssertWhole(View.Doubles(3, 555), [3, 37, 5], axis, channels);
    }

    [TestMethod]
    public void A_row_longer_than_a_shard_has_the_bits_of_the_whole_array() =>
        AssertWhole(View.Floats(2, 300_000), [3, 100_000], axis: 1, channels: 3);

    [TestMethod]
    public void A_map_that_no_float_holds_has_the_bits_of_the_whole_array()
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.Keras with { Epsilon = 1e-300 };
        var state = new BatchNormalizationState([1, 2], [1e-90, 1], [1, 1], [0, 0]);
        float[][] rows = View.Floats(3, 2);
        AssertWhole(rows, [2], Layers.Column(options, state));
    }

    [TestMethod]
    [DataRow(3)]
    [DataRow(5)]
    [DataRow(11)]
    [DataRow(16)]
    [DataRow(40)]
    [DataRow(64)]
    [DataRow(100)]
    public void Every_slot_that_is_not_finite_is_found(int length)
    {
        BatchNormalizationTransformer transformer = Layers.Transformer(length);
        for (int slot = 0; slot < length; slot++)
        {
            float[][] rows = View.Floats(2, length);
            rows[1][slot] = slot % 2 == 0 ? float.NaN : float.NegativeInfinity;
            IDataView input = View.Vectors(View.Dense(rows), length);
            foreach (IDataView each in (IDataView[])[input, View.ML.Data.Cache(input)])
            {
                IDataView output = transformer.Transform(each);
                var error = Assert.ThrowsExactly<InvalidOperationException>(() => output.Rows<float>("Y"));
                StringAssert.Contains(error.Message, $"row 1, slot {slot} has {(slot % 2 == 0 ? "NaN" : "-Infinity")}");
            }
        }
    }

    [TestMethod]
    [DataRow(3)]
    [DataRow(5)]
    [DataRow(11)]
    [DataRow(16)]
    [DataRow(40)]
    [DataRow(64)]
    [DataRow(100)]
    public void Slots_that_are_not_finite_pass_where_they_are_ignored(int length)
    {
        float[][] rows = View.Floats(length, length);
        for (int i = 0; i < length; i++)
            rows[i][i] = float.NegativeInfinity;
        AssertWhole(
            rows, [length],
            Layers.Column(length, BatchNormalizationOptions.Keras with { NonFinite = NonFinite.Ignore }));
    }

    [TestMethod]
    public void The_source_s_own_column_is_not_changed()
    {
        float[][] rows = View.Floats(4, 20);
        IDataView output = Layers.Transformer(20).Transform(View.ML.Data.Cache(View.Vectors(View.Dense(rows), 20)));
        output.Rows<float>("Y");
        Agreement.SameBits<float>(
            [.. View.Floats(4, 20).SelectMany(row => row)], [.. output.Rows<float>("X").SelectMany(row => row)]);
    }

    [TestMethod]
    public void A_row_of_another_length_than_its_column_s_is_named()
    {
        VBuffer<float>[][] wrong =
        [
            View.Dense(View.Floats(2, 4)), View.Dense(View.Floats(2, 2)), [default], [new(4, 3, [1, 2, 3], [0, 1, 2])],
        ];
        foreach (VBuffer<float>[] rows in wrong)
        {
            IDataView output = Layers.Transformer(3).Transform(View.Vectors(rows, 3));
            var error = Assert.ThrowsExactly<InvalidOperationException>(() => output.Rows<float>("Y"));
            StringAssert.Contains(
                error.Message, $"Column 'X' has {rows[0].Length} values in row 0, where its type says 3.");
        }
    }

    static void AssertWhole<T>(T[][] rows, int[] shape, int axis, int channels) where T : unmanaged =>
        AssertWhole(rows, shape, Layers.Column(channels, new() { Axis = axis }));

    static void AssertWhole<T>(T[][] rows, int[] shape, BatchNormalizationColumn column) where T : unmanaged
    {
        var layout = new ChannelLayout([rows.Length, .. shape], column.Axis);
        T[] x = [.. rows.SelectMany(row => row)], expected = new T[x.Length];
        if (x is float[] singles)
            column.Map.Apply(layout, singles, (float[])(object)expected);
        else
            column.Map.Apply(layout, (double[])(object)x, (double[])(object)expected);
        // From the objects' own arrays, and in the buffer that a cache fills.
        IDataView input = View.Vectors(View.Dense(rows), shape);
        foreach (IDataView each in (IDataView[])[input, View.ML.Data.Cache(input)])
            AssertRows(expected, each, Layers.Transformer(column));
    }

    static void AssertRows<T>(T[] expected, IDataView input, ITransformer transformer) where T : unmanaged
    {
        Agreement.SameBits<T>(expected, [.. transformer.Transform(input).Rows<T>("Y").SelectMany(row => row)]);

        IRowToRowMapper mapper = transformer.GetRowToRowMapper(input.Schema);
        using DataViewRowCursor source = input.GetRowCursor(input.Schema);
        using DataViewRow row = mapper.GetRow(source, mapper.OutputSchema);
        ValueGetter<VBuffer<T>> getter = row.GetGetter<VBuffer<T>>(mapper.OutputSchema["Y"]);
        VBuffer<T> value = default;
        for (int i = 0; source.MoveNext(); i++)
        {
            getter(ref value);
            Agreement.SameBits<T>(expected.AsSpan(i * value.Length, value.Length), value.GetValues());
        }
    }
}
