using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

[TestClass]
public class SchemaTests
{
    [TestMethod]
    public void The_output_has_the_input_s_type_and_dimensions()
    {
        IDataView input = View.Vectors(View.Dense(View.Doubles(1, 24)), 2, 3, 4);
        DataViewSchema schema = Layers.Transformer(4).GetOutputSchema(input.Schema);
        Assert.AreEqual(new VectorDataViewType(NumberDataViewType.Double, 2, 3, 4), schema["Y"].Type);
        Assert.AreEqual(
            NumberDataViewType.Single, Layers.Transformer(1).GetOutputSchema(View.Scalars(1f).Schema)["Y"].Type);
    }

    [TestMethod]
    public void The_output_is_marked_as_normalized_and_carries_slot_names()
    {
        IDataView input = View.Vectors(View.Dense(View.Floats(1, 2)), [2], ["length", "width"]);
        DataViewSchema.Column output = Layers.Transformer(2).GetOutputSchema(input.Schema)["Y"];
        Assert.IsTrue(output.IsNormalized());
        VBuffer<ReadOnlyMemory<char>> names = default;
        output.GetSlotNames(ref names);
        CollectionAssert.AreEqual(
            (string[])["length", "width"], names.DenseValues().Select(name => name.ToString()).ToArray());
    }

    [TestMethod]
    public void Annotations_about_the_input_s_values_are_left_behind()
    {
        var annotations = new DataViewSchema.Annotations.Builder();
        annotations.Add("ScoreValueKind", NumberDataViewType.Int32, (ValueGetter<int>)((ref value) => value = 1));
        annotations.Add(
            "IsUserVisible", BooleanDataViewType.Instance, (ValueGetter<bool>)((ref value) => value = true));
        annotations.Add(
            "IsNormalized", BooleanDataViewType.Instance, (ValueGetter<bool>)((ref value) => value = false));
        var input = new DataViewSchema.Builder();
        input.AddColumn("X", NumberDataViewType.Single, annotations.ToAnnotations());
        DataViewSchema.Column output = Layers.Transformer(1).GetOutputSchema(input.ToSchema())["Y"];
        CollectionAssert.AreEquivalent(
            (string[])["IsUserVisible", "IsNormalized"], output.Annotations.Schema.Select(kind => kind.Name).ToArray());
        Assert.IsTrue(output.IsNormalized());
    }

    [TestMethod]
    public void Transform_delivers_the_schema_that_GetOutputSchema_promises()
    {
        IDataView input = View.Vectors(View.Dense(View.Floats(3, 2)), [2], ["a", "b"]);
        BatchNormalizationTransformer transformer = Layers.Transformer(2);
        DataViewSchema promised = transformer.GetOutputSchema(input.Schema),
            given = transformer.Transform(input).Schema;
        CollectionAssert.AreEqual(promised.Select(Describe).ToArray(), given.Select(Describe).ToArray());

        static string Describe(DataViewSchema.Column column) =>
            $"{column.Name} {column.Type} {column.IsHidden} {string.Join(", ", column.Annotations.Schema)}";
    }

    [TestMethod]
    public void A_missing_column_is_a_schema_mismatch() =>
        AssertMismatch(
            Layers.Transformer(Layers.Column(1, input: "Z")), View.Scalars(1f), "Could not find input column 'Z'");

    [TestMethod]
    public void A_column_of_another_type_is_a_schema_mismatch()
    {
        AssertMismatch(
            Layers.Transformer(1), View.Scalars("one"),
            "expected Single or Double, scalar or vector of known size, got String");
        AssertMismatch(Layers.Transformer(1), View.Scalars(1), "got Int32");
        AssertMismatch(Layers.Transformer(2), View.Vectors(View.Dense<int>([[1, 2]]), 2), "got Vector<Int32, 2>");
    }

    [TestMethod]
    public void A_vector_of_unknown_size_is_a_schema_mismatch() =>
        AssertMismatch(
            Layers.Transformer(2), View.Vectors(View.Dense(View.Floats(1, 2)), 0), "scalar or vector of known size");

    [TestMethod]
    public void Another_number_of_channels_is_a_schema_mismatch()
    {
        AssertMismatch(Layers.Transformer(3), View.Scalars(1f), "expected 3 channels along axis -1, got Single");
        AssertMismatch(
            Layers.Transformer(3, new() { Axis = 1 }),
            View.Vectors(View.Dense(View.Floats(1, 12)), 4, 3),
            "expected 3 channels along axis 1, got Vector<Single, 4, 3>");
    }

    [TestMethod]
    [DataRow(3, "not 3: a row of it has 2 dimensions")]
    [DataRow(-3, "not -3: a row of it has 2 dimensions")]
    public void An_axis_that_a_row_does_not_have_is_a_schema_mismatch(int axis, string expected) =>
        AssertMismatch(
            Layers.Transformer(2, new() { Axis = axis }), View.Vectors(View.Dense(View.Floats(1, 4)), 2, 2), expected);

    static void AssertMismatch(BatchNormalizationTransformer transformer, IDataView input, string message)
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => transformer.GetOutputSchema(input.Schema));
        StringAssert.Contains(error.Message, message);
        error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => transformer.Transform(input));
        StringAssert.Contains(error.Message, message);
    }
}
