using Microsoft.ML.Data;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>One row through a prediction engine, against an engine that copies the column.</summary>
static class Prediction
{
    const int Count = 20_000;

    public static void Compare(int features)
    {
        var ml = new MLContext(1);
        var row = new Row { X = [.. Enumerable.Range(0, features).Select(i => (float)i)] };
        SchemaDefinition definition = SchemaDefinition.Create(typeof(Row));
        definition["X"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, features);
        IDataView data = ml.Data.LoadFromEnumerable([row, new Row { X = new float[features] }], definition);
        using var ours = Engine(ml.Transforms.BatchNormalization("Y", "X").Fit(data));
        using var reference = Engine(ml.Transforms.CopyColumns("Y", "X").Fit(data));
        Comparison.PrintTimes(
            $"prediction of {features} features, reference CopyColumns", Count,
            () => Predict(ours), () => Predict(reference));

        PredictionEngine<Row, Output> Engine(ITransformer transformer) =>
            ml.Model.CreatePredictionEngine<Row, Output>(transformer, inputSchemaDefinition: definition);

        void Predict(PredictionEngine<Row, Output> engine)
        {
            var output = new Output();
            for (int i = 0; i < Count; i++)
                engine.Predict(row, ref output);
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
