using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

[TestClass]
public class NormalizedDataViewTests
{
    [TestMethod]
    public void The_schema_is_that_of_ML_NET_s_own_view()
    {
        IDataView input = View.Vectors(View.Dense(View.Floats(3, 2)), [2], ["a", "b"]);
        ITransformer transformer = Layers.Transformer(
            Layers.Column(2, output: "X", seed: 20), Layers.Column(2, output: "Z", input: "X", seed: 30));
        CollectionAssert.AreEqual(
            transformer.GetRowToRowMapper(input.Schema).OutputSchema.Select(Describe).ToArray(),
            transformer.Transform(input).Schema.Select(Describe).ToArray());

        static string Describe(DataViewSchema.Column column) =>
            $"{column.Index} {column.Name} {column.Type} {column.IsHidden} "
            + string.Join(", ", column.Annotations.Schema);
    }

    [TestMethod]
    public void A_chain_of_base_types_gets_the_same_view()
    {
        IDataView input = View.Scalars(1f, 2);
        BatchNormalizationTransformer transformer = Layers.Transformer(1);
        Assert.AreEqual(typeof(NormalizedDataView), transformer.Transform(input).GetType());
        Assert.AreEqual(
            typeof(NormalizedDataView), new TransformerChain<ITransformer>(transformer).Transform(input).GetType());
    }

    [TestMethod]
    public void Rows_are_as_many_as_the_source_s()
    {
        IDataView input = View.Scalars(1f, 2, 3);
        IDataView output = Layers.Transformer(1).Transform(input);
        Assert.AreEqual(input.GetRowCount(), output.GetRowCount());
        Assert.AreEqual(input.CanShuffle, output.CanShuffle);
    }

    [TestMethod]
    public void A_column_that_is_not_asked_for_is_not_active_anywhere()
    {
        IDataView input = View.Scalars(1f, 2);
        IDataView output = Layers.Transformer(1).Transform(input);
        DataViewSchema.Column x = output.Schema["X"], y = output.Schema["Y"];
        using DataViewRowCursor cursor = output.GetRowCursor([x]), none = output.GetRowCursor([]);
        Assert.IsTrue(cursor.IsColumnActive(x));
        Assert.IsFalse(cursor.IsColumnActive(y));
        Assert.IsFalse(none.IsColumnActive(x));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => cursor.GetGetter<float>(y));
    }

    [TestMethod]
    public void An_input_is_read_where_only_the_output_is_asked_for()
    {
        IDataView output = Layers.Transformer(1).Transform(View.Scalars(1f, 2));
        using DataViewRowCursor cursor = output.GetRowCursor([output.Schema["Y"]]);
        Assert.IsFalse(cursor.IsColumnActive(output.Schema["X"]));
        Assert.IsTrue(cursor.MoveNext());
    }

    [TestMethod]
    public void Columns_that_it_does_not_have_are_refused()
    {
        IDataView output = Layers.Transformer(1).Transform(View.Scalars(1f, 2));
        DataViewSchema.Column other = Layers.Transformer(Layers.Column(1, output: "Z")).Transform(output).Schema["Z"];
        foreach (Action action in (Action[])
            [() => output.GetRowCursor([other]), () => output.GetRowCursorSet([other], 2)])
        {
            Assert.IsTrue(Assert.ThrowsExactly<InvalidOperationException>(action).IsMarked(), "The error is not ML.NET's.");
        }
    }

    [TestMethod]
    public void A_getter_of_another_type_is_refused()
    {
        IDataView output = Layers.Transformer(1).Transform(View.Scalars(1f, 2));
        using DataViewRowCursor cursor = output.GetRowCursor(output.Schema);
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => cursor.GetGetter<double>(output.Schema["Y"]));
        StringAssert.Contains(
            error.Message, "Invalid TValue in GetGetter: 'System.Double', expected type: 'System.Single'");
    }

    [TestMethod]
    public void Shuffled_rows_are_the_source_s_shuffled_rows()
    {
        IDataView input = View.ML.Data.Cache(View.Scalars(Sample.Floats(200, 3)));
        BatchNormalizationTransformer transformer = Layers.Transformer(1);
        IDataView output = transformer.Transform(input);
        Assert.IsTrue(output.CanShuffle);
        using DataViewRowCursor shuffled = output.GetRowCursor(output.Schema, new Random(1));
        ValueGetter<float> x = shuffled.GetGetter<float>(output.Schema["X"]),
            y = shuffled.GetGetter<float>(output.Schema["Y"]);
        ValueGetter<DataViewRowId> id = shuffled.GetIdGetter();
        var ids = new List<ulong>();
        while (shuffled.MoveNext())
        {
            float value = 0, actual = 0;
            DataViewRowId row = default;
            x(ref value);
            y(ref actual);
            id(ref row);
            ids.Add(row.Low);
            float[] expected = new float[1];
            transformer.Columns[0].Map.Apply([value], expected);
            Assert.AreEqual(expected[0], actual);
        }
        Assert.HasCount(200, ids);
        CollectionAssert.AreNotEqual(ids.Order().ToArray(), ids);
    }

    [TestMethod]
    public void A_set_of_cursors_divides_the_rows_among_them()
    {
        float[][] rows = View.Floats(3000, 5);
        IDataView input = View.ML.Data.Cache(View.Vectors(View.Dense(rows), 5));
        input.GetColumn<float[]>("X").Count();
        IDataView output = Layers.Transformer(5).Transform(input);
        float[][] expected = output.Rows<float>("Y");
        DataViewRowCursor[] cursors = output.GetRowCursorSet([output.Schema["Y"]], 4);
        var found = new (ulong Id, float[] Row)[cursors.Length][];
        Parallel.For(0, cursors.Length, i => found[i] = [.. Read(cursors[i])]);
        (ulong Id, float[] Row)[] all = [.. found.SelectMany(part => part).OrderBy(row => row.Id)];
        Assert.HasCount(rows.Length, all);
        for (int i = 0; i < expected.Length; i++)
            Agreement.SameBits<float>(expected[i], all[i].Row);

        static IEnumerable<(ulong, float[])> Read(DataViewRowCursor cursor)
        {
            using (cursor)
            {
                ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(cursor.Schema["Y"]);
                ValueGetter<DataViewRowId> identify = cursor.GetIdGetter();
                VBuffer<float> row = default;
                DataViewRowId id = default;
                while (cursor.MoveNext())
                {
                    getter(ref row);
                    identify(ref id);
                    yield return (id.Low, [.. row.DenseValues()]);
                }
            }
        }
    }

    [TestMethod]
    public void A_view_can_be_applied_to_other_data()
    {
        var view = (ITransformTemplate)Layers.Transformer(1).Transform(View.Scalars(1f, 2));
        IDataView other = View.Scalars(3f, 4, 5);
        IDataTransform applied = view.ApplyToData(View.ML, other);
        Assert.AreSame(other, applied.Source);
        Assert.HasCount(3, applied.GetColumn<float>("Y").ToArray());
    }

    [TestMethod]
    public void Preview_CreateEnumerable_and_a_cache_see_the_values()
    {
        float[] values = Sample.Floats(20, 3), expected = new float[20];
        BatchNormalizationTransformer transformer = Layers.Transformer(1);
        transformer.Columns[0].Map.Apply(ChannelLayout.Features(20, 1), values, expected);
        IDataView output = transformer.Transform(View.Scalars(values));
        Agreement.SameBits<float>(
            expected,
            [.. output.Preview(100).ColumnView.Single(column => column.Column.Name == "Y").Values.Cast<float>()]);
        Agreement.SameBits<float>(expected, [.. View.ML.Data.Cache(output).GetColumn<float>("Y")]);
        Agreement.SameBits<float>(
            expected,
            [.. View.ML.Data.CreateEnumerable<Normalized>(output, reuseRowObject: false).Select(row => row.Y)]);
    }

    [TestMethod]
    public void A_chain_with_a_cache_gives_the_same_bits()
    {
        IDataView input = View.Vectors(View.Dense(View.Floats(300, 4)), 4);
        TransformerChain<BatchNormalizationTransformer> chain = View.ML.Transforms.CopyColumns("W", "X")
            .AppendCacheCheckpoint(View.ML)
            .Append(View.ML.Transforms.BatchNormalization("V", "W")).AppendCacheCheckpoint(View.ML)
            .Append(View.ML.Transforms.BatchNormalization("Y", "V")).Fit(input);
        BatchNormalizationTransformer alone = View.ML.Transforms.BatchNormalization("V", "X").Fit(input);
        Agreement.SameBits<float>(
            [.. alone.Transform(input).Rows<float>("V").SelectMany(row => row)],
            [.. chain.Transform(input).Rows<float>("V").SelectMany(row => row)]);
    }

    sealed class Normalized
    {
        public float Y { get; set; }
    }
}
