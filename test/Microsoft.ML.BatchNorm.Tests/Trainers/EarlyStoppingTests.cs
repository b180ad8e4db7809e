using System.Globalization;
using System.IO.Compression;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>Early stopping on real data takes an epoch whose model is about as good as the last one's.</summary>
[TestClass]
public class EarlyStoppingTests
{
    const int Seeds = 10;

    [TestMethod]
    [DataRow("wine.csv", 13, 3, 100)]
    [DataRow("breast_cancer.csv", 30, 2, 100)]
    [DataRow("digits.csv.gz", 64, 10, 40)]
    public void It_costs_little_accuracy(string file, int features, int classes, int epochs)
    {
        var context = new MLContext(1);
        IDataView rows = context.Data.LoadFromTextFile(
            Path.Combine(AppContext.BaseDirectory, "data", Unpacked(file)),
            [
                new("Features", Microsoft.ML.Data.DataKind.Single, 0, features - 1),
                new("Label", Microsoft.ML.Data.DataKind.UInt32, [new(features)], new((ulong)classes)),
            ],
            separatorChar: ',', hasHeader: file.EndsWith(".csv", StringComparison.Ordinal));
        double[] costs = [.. Enumerable.Range(0, Seeds).Select(seed =>
        {
            DataOperationsCatalog.TrainTestData split = context.Data.TrainTestSplit(rows, 0.3, seed: seed);
            double Accuracy(EarlyStopping? stopping) => context.MulticlassClassification.Evaluate(
                context.MulticlassClassification.Trainers.BatchNormNetwork(new BatchNormNetworkMulticlassTrainer.Options
                {
                    Epochs = epochs, Seed = seed, EarlyStopping = stopping, ValidationData = split.TestSet,
                }).Fit(split.TrainSet).Transform(split.TestSet)).MicroAccuracy;
            return Accuracy(null) - Accuracy(new EarlyStopping { Patience = 5 });
        })];
        string all = string.Join(", ", costs.Select(cost => cost.ToString("F3", CultureInfo.InvariantCulture)));
        Assert.IsTrue(costs.Average() <= 0.02, all);
        Assert.IsTrue(costs.Max() <= 0.06, all);
    }

    static string Unpacked(string file)
    {
        if (!file.EndsWith(".gz", StringComparison.Ordinal))
            return file;
        string folder = Path.Combine(AppContext.BaseDirectory, "data"), plain = file[..^3];
        using var packed = new GZipStream(File.OpenRead(Path.Combine(folder, file)), CompressionMode.Decompress);
        using FileStream unpacked = File.Create(Path.Combine(folder, plain));
        packed.CopyTo(unpacked);
        return plain;
    }
}
