using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// One row through a prediction engine, against an engine that copies the column. Some nanoseconds depend on where in a
/// cache line the buffers begin: there are several engines of each, with buffers at different places.
/// </summary>
static class Prediction
{
    const int Count = 5_000, Places = 8;

    public static void Compare(int features)
    {
        var ml = new MLContext(1);
        var row = new Row { X = [.. Enumerable.Range(0, features).Select(i => (float)i)] };
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Row));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, features);
        IDataView data = ml.Data.LoadFromEnumerable([row, new Row { X = new float[features] }], definition);
        ITransformer normalizing = ml.Transforms.BatchNormalization("Y", "X").Fit(data);
        ITransformer copying = ml.Transforms.CopyColumns("Y", "X").Fit(data);
        Case[] ours = new Case[Places], references = new Case[Places];
        for (int place = 0; place < Places; place++)
            (ours[place], references[place]) = (New(normalizing, place), New(copying, place));
        Comparison.PrintTimes(
            $"prediction of {features} features, reference CopyColumns", Count * Places,
            () => Array.ForEach(ours, each => each.Predict()), () => Array.ForEach(references, each => each.Predict()));

        Case New(ITransformer transformer, int place) => new(
            ml.Model.CreatePredictionEngine<Row, Output>(transformer, inputSchemaDefinition: definition),
            row.X, place);
    }

    /// <summary>An engine, its row and its output, which the padding moves by multiples of 8 bytes.</summary>
    sealed class Case(PredictionEngine<Row, Output> engine, float[] values, int place)
    {
        readonly byte[] padding = new byte[8 * place];
        readonly Row row = new() { X = [.. values] };
        Output output = new();

        public void Predict()
        {
            for (int i = 0; i < Count; i++)
                engine.Predict(row, ref output);
            GC.KeepAlive(padding);
        }
    }

    sealed class Row
    {
        public float[] X { get; set; } = [];
    }

    sealed class Output
    {
        public float[] Y { get; set; } = [];
    }
}
