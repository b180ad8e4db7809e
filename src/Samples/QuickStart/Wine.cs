using Microsoft.ML;
using Microsoft.ML.Data;

namespace QuickStart;

/// <summary>
/// Predicts which of three growers a wine is from, by 13 measurements with scales from 0.1 to 1,000. The same
/// classifier gets the measurements as they are, from ML.NET's normalizers, and from batch normalization.
/// </summary>
static class Wine
{
    const int Measurements = 13, Growers = 3, Splits = 10;

    public static void Compare()
    {
        var mlContext = new MLContext(seed: 1);
        TextLoader loader = mlContext.Data.CreateTextLoader(
            [
                new("Measurements", DataKind.Single, 0, Measurements - 1),
                new("Label", DataKind.UInt32, [new(Measurements)], new(Growers)),
            ],
            separatorChar: ',', hasHeader: true);
        string file = Path.Combine(AppContext.BaseDirectory, "data", "wine.csv");
        IDataView wines = mlContext.Data.Cache(loader.Load(file));

        Console.WriteLine(
            $"Accuracy of a classifier on wine, a quarter held out, mean of {Splits} splits; {Measurements} " +
            "measurements with scales from 0.1 to 1,000:");
        TransformsCatalog transforms = mlContext.Transforms;
        Print("without normalization", transforms.CopyColumns("Features", "Measurements"));
        Print("NormalizeMeanVariance", transforms.NormalizeMeanVariance("Features", "Measurements"));
        Print("the same, fixZero: false", transforms.NormalizeMeanVariance("Features", "Measurements", fixZero: false));
        Print("NormalizeMinMax", transforms.NormalizeMinMax("Features", "Measurements"));
        Print("BatchNormalization", transforms.BatchNormalization("Features", "Measurements"));

        void Print(string name, IEstimator<ITransformer> normalizer)
        {
            MulticlassClassificationMetrics[] metrics =
                [.. Enumerable.Range(0, Splits).Select(seed => Evaluate(mlContext, wines, seed, normalizer))];
            Console.WriteLine(
                $"  {name,-26}{metrics.Average(one => one.MicroAccuracy):P1}, " +
                $"log-loss {metrics.Average(one => one.LogLoss):F3}");
        }
    }

    static MulticlassClassificationMetrics Evaluate(
        MLContext mlContext, IDataView wines, int seed, IEstimator<ITransformer> normalizer)
    {
        var split = mlContext.Data.TrainTestSplit(wines, testFraction: 0.25, seed: seed);
        var model = normalizer.Append(mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy())
            .Fit(split.TrainSet);
        return mlContext.MulticlassClassification.Evaluate(model.Transform(split.TestSet));
    }
}
