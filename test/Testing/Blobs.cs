using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Rows of three classes that lie around points of their own, with labels for every task.</summary>
static class Blobs
{
    public const int Slots = 4;

    public static readonly string[] Names = ["red", "green", "blue"];

    public static Row[] Rows(int count = 300, int seed = 1)
    {
        float[] noise = Sample.Floats(count * (Slots + 1), seed, mean: 0, deviation: 1);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            int kind = i % 3;
            float[] features = noise[(i * (Slots + 1))..(i * (Slots + 1) + Slots)];
            // The last slot tells nothing.
            features[0] += 4 * kind;
            features[1] -= kind == 1 ? 5 : 0;
            features[2] = 100 + 20 * features[2];
            return new Row
            {
                Features = features,
                Color = Names[kind],
                IsRed = kind == 0,
                Value = 3 * features[0] - 2 * features[1] + 5,
                Weight = 1 + i % 2,
            };
        })];
    }

    /// <summary>The rows, with a key Label of the colors.</summary>
    public static IDataView View(MLContext context, int count = 300, int seed = 1) => Keyed(context, Rows(count, seed));

    public static IDataView Keyed(MLContext context, IEnumerable<Row> rows)
    {
        IDataView view = context.Data.LoadFromEnumerable(rows);
        IDataView names = context.Data.LoadFromEnumerable(Names.Select(name => new Name { Color = name }));
        return context.Transforms.Conversion.MapValueToKey("Label", "Color", keyData: names).Fit(view).Transform(view);
    }

    /// <summary>The same columns without text: the key has no values' names.</summary>
    public static IDataView Plain(MLContext context, int count = 300, int seed = 1) => context.Data.LoadFromEnumerable(
        Rows(count, seed).Select(row => new PlainRow
        {
            Features = row.Features,
            Label = (uint)Array.IndexOf(Names, row.Color),
            IsRed = row.IsRed,
            Value = row.Value,
            Weight = row.Weight,
        }));

    public static BatchNormNetworkMulticlassTrainer Multiclass(
        MLContext context, Action<BatchNormNetworkMulticlassTrainer.Options>? change = null)
    {
        var options = new BatchNormNetworkMulticlassTrainer.Options();
        Quick(options);
        change?.Invoke(options);
        return context.MulticlassClassification.Trainers.BatchNormNetwork(options);
    }

    public static BatchNormNetworkBinaryTrainer Binary(
        MLContext context, Action<BatchNormNetworkBinaryTrainer.Options>? change = null)
    {
        var options = new BatchNormNetworkBinaryTrainer.Options { LabelColumnName = nameof(Row.IsRed) };
        Quick(options);
        change?.Invoke(options);
        return context.BinaryClassification.Trainers.BatchNormNetwork(options);
    }

    public static BatchNormNetworkRegressionTrainer Regression(
        MLContext context, Action<BatchNormNetworkRegressionTrainer.Options>? change = null)
    {
        var options = new BatchNormNetworkRegressionTrainer.Options { LabelColumnName = nameof(Row.Value) };
        Quick(options);
        options.Epochs = 30;
        change?.Invoke(options);
        return context.Regression.Trainers.BatchNormNetwork(options);
    }

    static void Quick(BatchNormNetworkTrainerOptions options)
    {
        options.NetworkFactory = (input, outputs) => Network.Input(input.Dimensions)
            .BatchNormalization().Dense(16, useBias: false).BatchNormalization().ReLU().Dense(outputs);
        options.Optimizer = Optimizer.Adam(0.01);
        options.RecomputeStatistics = true;
        options.Seed = 7;
    }

    public sealed class Row
    {
        [VectorType(Slots)]
        public float[] Features { get; set; } = [];

        public string Color { get; set; } = "";

        public bool IsRed { get; set; }

        public float Value { get; set; }

        public float Weight { get; set; }
    }

    sealed class PlainRow
    {
        [VectorType(Slots)]
        public float[] Features { get; set; } = [];

        [KeyType(3)]
        public uint Label { get; set; }

        public bool IsRed { get; set; }

        public float Value { get; set; }

        public float Weight { get; set; }
    }

    sealed class Name
    {
        public string Color { get; set; } = "";
    }
}
