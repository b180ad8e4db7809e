using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

/// <summary>What the examples of the ML.NET layer may use without making it; each makes its own when it asks.</summary>
public static class ExampleSetup
{
    public static MLContext mlContext { get; } = new(seed: 1);

    public static IDataView rows => Digits(0, 300);

    public static IDataView newRows => Digits(1000, 300);

    public static BatchNormalizationTransformer layer =>
        mlContext.Transforms.BatchNormalization("Features", "Pixels").Fit(rows);

    public static SavedNetwork pretrained
    {
        get
        {
            Network network = Network.Input(64).Dense(16, useBias: false, name: "dense").BatchNormalization()
                .ReLU(name: "re_lu").Dense(10, name: "head");
            return new SavedNetwork(network, network.Initialize(seed: 1));
        }
    }

    public static TransformerChain<KeyToValueMappingTransformer> model =>
        mlContext.Transforms.Concatenate("AllPixels", "Pixels")
            .Append(mlContext.Transforms.BatchNormalization("Features", "AllPixels"))
            .Append(mlContext.MulticlassClassification.Trainers.BatchNormNetwork(epochs: 2))
            .Append(mlContext.Transforms.Conversion.MapKeyToValue("Digit", "PredictedLabel")).Fit(rows);

    static IDataView Digits(int from, int count)
    {
        IDataView digits = mlContext.Data.LoadFromEnumerable(
            File.ReadLines("digits.csv").Skip(from).Take(count).Select(line =>
            {
                float[] numbers = [.. line.Split(',').Select(float.Parse)];
                return new Digit { Pixels = numbers[..64], IsEven = numbers[64] % 2 == 0, Value = numbers[64] };
            }).ToArray());
        return mlContext.Transforms.Conversion.MapValueToKey(
            "Label", "Value", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(digits).Transform(digits);
    }

    sealed class Digit
    {
        [VectorType(64)] public float[] Pixels { get; init; } = [];

        public bool IsEven { get; init; }

        public float Value { get; init; }
    }
}
