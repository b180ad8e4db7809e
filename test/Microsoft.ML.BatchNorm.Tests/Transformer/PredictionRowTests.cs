using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Transformer;

/// <summary>Rows of a prediction engine, whose values are members of the user's own object.</summary>
[TestClass]
public class PredictionRowTests
{
    const int Length = 64;

    static readonly BatchNormalizationTransformer Transformer = Layers.Transformer(Length);

    [TestMethod]
    public void Rows_of_a_prediction_engine_have_the_bits_of_a_data_view()
    {
        float[][] values = View.Floats(20, Length);
        float[][] expected = Transformer.Transform(View.Vectors(View.Dense(values), Length)).Rows<float>("Y");
        AssertPredicts<Property>(expected, (row, i) => row.X = values[i]);
        AssertPredicts<Field>(expected, (row, i) => row.X = values[i]);
        AssertPredicts<Buffer>(expected, (row, i) => row.X = new VBuffer<float>(Length, values[i]));
        float[] reused = new float[Length];
        AssertPredicts<Field>(expected, (row, i) => values[i].CopyTo(row.X = reused, 0));
    }

    [TestMethod]
    public void Members_are_read_by_the_schema_definition_and_not_by_their_names()
    {
        SchemaDefinition swapped = Definition<Two>();
        swapped["Other"].ColumnType = swapped["X"].ColumnType;
        (swapped[0].ColumnName, swapped[1].ColumnName) = (swapped[1].ColumnName, swapped[0].ColumnName);
        using var engine =
            View.ML.Model.CreatePredictionEngine<Two, Output>(Transformer, inputSchemaDefinition: swapped);
        float[][] values = View.Floats(6, Length), y = Transformer.Transform(
            View.Vectors(View.Dense(values), Length)).Rows<float>("Y");
        Output output = new();
        for (int i = 1; i < values.Length; i++)
        {
            engine.Predict(new Two { X = values[i - 1], Other = values[i] }, ref output);
            Agreement.SameBits<float>(y[i], output.Y, $"row {i}");
        }
    }

    [TestMethod]
    public void A_getter_s_caller_may_hand_in_any_buffer()
    {
        float[][] values = View.Floats(9, Length), expected = Transformer.Transform(
            View.Vectors(View.Dense(values), Length)).Rows<float>("Y");
        var input = DataViewConstructionUtils.CreateInputRow<Property>(Env, Definition<Property>());
        IRowToRowMapper mapper = ((ITransformer)Transformer).GetRowToRowMapper(input.Schema);
        using DataViewRow row = mapper.GetRow(input, mapper.OutputSchema);
        ValueGetter<VBuffer<float>> getter = row.GetGetter<VBuffer<float>>(mapper.OutputSchema["Y"]);
        VBuffer<float>[] buffers =
        [
            default, new(Length, new float[Length]), new(Length, 2, [1, 2], [3, 4]), new(2, [1, 2]),
            new(Length, 0, null, null), new(Length, 2, new float[2 * Length], new int[Length]), default,
            new(Length, new float[2 * Length]),
            new(2 * Length, Length, new float[Length], [.. Enumerable.Range(0, Length)]),
        ];
        for (int i = 0; i < values.Length; i++)
        {
            input.ExtractValues(new Property { X = values[i] });
            getter(ref buffers[i]);
            Assert.IsTrue(buffers[i].IsDense);
            Agreement.SameBits<float>(expected[i], buffers[i].GetValues(), $"buffer {i}");
        }
    }

    [TestMethod]
    public void The_user_s_array_is_not_changed()
    {
        float[] values = View.Floats(1, Length)[0], before = [.. values];
        using var engine = Engine<Property>();
        for (int i = 0; i < 3; i++)
            engine.Predict(new Property { X = values });
        Agreement.SameBits<float>(before, values);
    }

    [TestMethod]
    public void A_value_that_is_not_finite_is_named_and_the_engine_goes_on()
    {
        float[][] values = View.Floats(3, Length);
        using var engine = Engine<Property>();
        Output output = new();
        foreach (float[] row in values)
            engine.Predict(new Property { X = row }, ref output);
        float[] wrong = [.. values[0]];
        wrong[17] = float.NaN;
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => engine.Predict(new Property { X = wrong }, ref output));
        StringAssert.Contains(error.Message, "Column 'X' is not finite: row 3, slot 17 has NaN.");
        Agreement.SameBits<float>(engine.Predict(new Property { X = values[2] }).Y, Predict(values[2]));
    }

    [TestMethod]
    public void Values_that_are_not_finite_pass_where_they_are_ignored()
    {
        BatchNormalizationTransformer ignoring = Layers.Transformer(Layers.Column(
            Length, BatchNormalizationOptions.Keras with { NonFinite = NonFinite.Ignore }));
        using var engine = View.ML.Model.CreatePredictionEngine<Property, Output>(
            ignoring, inputSchemaDefinition: Definition<Property>());
        float[][] values = View.Floats(3, Length);
        values[2][5] = float.PositiveInfinity;
        Output output = new();
        foreach (float[] row in values)
            engine.Predict(new Property { X = row }, ref output);
        Assert.AreEqual(float.PositiveInfinity, output.Y[5]);
        Assert.IsTrue(output.Y.Where((_, slot) => slot != 5).All(float.IsFinite));
    }

    [TestMethod]
    [DataRow(null, DisplayName = "no array")]
    [DataRow(0)]
    [DataRow(Length - 1)]
    [DataRow(Length + 1)]
    public void A_row_without_its_array_or_of_another_length_is_named(int? length)
    {
        var wrong = new Property { X = length is { } some ? new float[some] : null! };
        float[][] values = View.Floats(3, Length);
        foreach (int before in (int[])[0, 3])
        {
            using var engine = Engine<Property>();
            Output output = new();
            foreach (float[] row in values.Take(before))
                engine.Predict(new Property { X = row }, ref output);
            var error = Assert.ThrowsExactly<InvalidOperationException>(() => engine.Predict(wrong, ref output));
            StringAssert.Contains(
                error.Message, $"Column 'X' has {length ?? 0} values in row {before}, where its type says {Length}.");
            Agreement.SameBits<float>(Predict(values[2]), engine.Predict(new Property { X = values[2] }).Y);
        }
    }

    static IHostEnvironment Env => View.ML;

    static float[] Predict(float[] values) =>
        Transformer.Transform(View.Vectors(View.Dense([values]), Length)).Rows<float>("Y")[0];

    static void AssertPredicts<TRow>(float[][] expected, Action<TRow, int> fill) where TRow : class, new()
    {
        using var engine = Engine<TRow>();
        TRow row = new();
        Output output = new();
        for (int i = 0; i < expected.Length; i++)
        {
            fill(row, i);
            engine.Predict(row, ref output);
            Agreement.SameBits<float>(expected[i], output.Y, $"{typeof(TRow).Name}, row {i}");
        }
    }

    static PredictionEngine<TRow, Output> Engine<TRow>() where TRow : class =>
        View.ML.Model.CreatePredictionEngine<TRow, Output>(Transformer, inputSchemaDefinition: Definition<TRow>());

    static SchemaDefinition Definition<TRow>()
    {
        SchemaDefinition definition = SchemaDefinition.Create(typeof(TRow));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, Length);
        return definition;
    }

    sealed class Property
    {
        public float[] X { get; set; } = [];
    }

    sealed class Field
    {
        public float[] X = [];
    }

    sealed class Buffer
    {
        public VBuffer<float> X { get; set; }
    }

    sealed class Two
    {
        public float[] X { get; set; } = [];

        public float[] Other { get; set; } = [];
    }

    sealed class Output
    {
        public float[] Y { get; set; } = [];
    }
}
