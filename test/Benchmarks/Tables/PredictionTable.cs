using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// One row through a prediction engine, beside engines that copy the column, and that normalize it as ML.NET does. Some
/// nanoseconds depend on where in a cache line the buffers begin: there are several engines of each, with buffers at
/// different places.
/// </summary>
static class PredictionTable
{
    const int Count = 200, Places = 8;

    public static Table Make() => new(
        "prediction", "One row through a prediction engine of ML.NET.",
        Unit.Microseconds, ["CopyColumns", "NormalizeMeanVariance"],
        from features in new[] { 64, 12 }
        select new Comparison($"{features} features", () => Contest(features)));

    static Contest Contest(int features)
    {
        var ml = new MLContext(1);
        float[] values = [.. Enumerable.Range(0, features).Select(i => (float)i)];
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Row));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, features);
        IDataView data = ml.Data.LoadFromEnumerable(
            [new Row { X = values }, new Row { X = new float[features] }], definition);
        return new Contest(Count * Places, Engines(ml.Transforms.BatchNormalization("Y", "X").Fit(data)))
            .Against(Engines(ml.Transforms.CopyColumns("Y", "X").Fit(data)))
            .Against(Engines(ml.Transforms.NormalizeMeanVariance("Y", "X", fixZero: false).Fit(data)));

        Action Engines(ITransformer transformer)
        {
            Case[] cases = [.. Enumerable.Range(0, Places).Select(place => new Case(
                ml.Model.CreatePredictionEngine<Row, Output>(transformer, inputSchemaDefinition: definition),
                values, place))];
            return () => Array.ForEach(cases, each => each.Predict());
        }
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
