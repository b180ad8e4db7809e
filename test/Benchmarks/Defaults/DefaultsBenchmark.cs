using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Trainers;
using Microsoft.ML.Trainers.FastTree;
using Microsoft.ML.Trainers.LightGbm;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// How well trainers predict with no option said: the network trainers beside ML.NET's own, by cross-validation.
/// </summary>
static class DefaultsBenchmark
{
    const int Folds = 5, NameWidth = 26, Width = 18;

    /// <summary>What the network trainers may lose against the best of ML.NET's own.</summary>
    const double Allowed = 0.02;

    public const string Help = """
        dotnet run -c Release --project test/Benchmarks -- defaults [--seeds N] [WORD]...

        Compares the default trainers with those of ML.NET: all data sets, or those with every word in their names.
        --seeds N    how often the rows are divided into folds, and the trainers seeded, anew. Default: 10.
        """;

    /// <summary>ML.NET's linear trainers get normalized features, the others the features as they are.</summary>
    internal static readonly (string Name, Task Task, Func<MLContext, IEstimator<ITransformer>> Make)[] trainers =
    [
        ("network", Task.Multiclass, ml => ml.MulticlassClassification.Trainers.BatchNormNetwork("Key")),
        ("LightGbm", Task.Multiclass, ml => ml.MulticlassClassification.Trainers.LightGbm(
            new LightGbmMulticlassTrainer.Options { LabelColumnName = "Key", NumberOfThreads = 1 })),
        ("Sdca", Task.Multiclass, ml => Normalized(ml, ml.MulticlassClassification.Trainers.SdcaMaximumEntropy(
            new SdcaMaximumEntropyMulticlassTrainer.Options { LabelColumnName = "Key", NumberOfThreads = 1 }))),
        ("Lbfgs", Task.Multiclass, ml => Normalized(ml, ml.MulticlassClassification.Trainers.LbfgsMaximumEntropy("Key"))),
        ("network", Task.Binary, ml => ml.BinaryClassification.Trainers.BatchNormNetwork("IsOne")),
        ("LightGbm", Task.Binary, ml => ml.BinaryClassification.Trainers.LightGbm(
            new LightGbmBinaryTrainer.Options { LabelColumnName = "IsOne", NumberOfThreads = 1 })),
        ("FastTree", Task.Binary, ml => ml.BinaryClassification.Trainers.FastTree(
            new FastTreeBinaryTrainer.Options { LabelColumnName = "IsOne", NumberOfThreads = 1 })),
        ("Sdca", Task.Binary, ml => Normalized(ml, ml.BinaryClassification.Trainers.SdcaLogisticRegression(
            new SdcaLogisticRegressionBinaryTrainer.Options { LabelColumnName = "IsOne", NumberOfThreads = 1 }))),
        ("Lbfgs", Task.Binary, ml => Normalized(ml, ml.BinaryClassification.Trainers.LbfgsLogisticRegression("IsOne"))),
        ("network", Task.Regression, ml => ml.Regression.Trainers.BatchNormNetwork("Value")),
        ("LightGbm", Task.Regression, ml => ml.Regression.Trainers.LightGbm(
            new LightGbmRegressionTrainer.Options { LabelColumnName = "Value", NumberOfThreads = 1 })),
        ("FastTree", Task.Regression, ml => ml.Regression.Trainers.FastTree(
            new FastTreeRegressionTrainer.Options { LabelColumnName = "Value", NumberOfThreads = 1 })),
        ("Sdca", Task.Regression, ml => Normalized(ml, ml.Regression.Trainers.Sdca(
            new SdcaRegressionTrainer.Options { LabelColumnName = "Value", NumberOfThreads = 1 }))),
    ];

    public static int Run(string[] arguments)
    {
        int seeds = 10;
        if (arguments is ["--seeds", var count, ..])
        {
            if (!int.TryParse(count, CultureInfo.InvariantCulture, out seeds) || seeds < 1)
                arguments = ["--help"];
            else
                arguments = arguments[2..];
        }
        DataSet[] chosen = [.. DataSet.All.Where(data => arguments.All(
            word => data.Name.Contains(word, StringComparison.OrdinalIgnoreCase)))];
        if (chosen.Length == 0)
        {
            Console.WriteLine(Help);
            return 1;
        }
        string[] names = [.. trainers.Select(trainer => trainer.Name).Distinct()];
        Console.WriteLine($"Accuracy or R², {Folds} folds, {seeds} seeds: mean ± deviation of a seed's mean over the folds");
        Console.WriteLine("".PadRight(NameWidth) + string.Concat(names.Select(name => name.PadLeft(Width))));
        bool isGoodEnough = true;
        var times = names.ToDictionary(name => name, _ => TimeSpan.Zero);
        foreach (DataSet data in chosen)
        {
            Console.Write(data.Name.PadRight(NameWidth));
            var means = new Dictionary<string, double>();
            foreach (string name in names)
            {
                var make = trainers.FirstOrDefault(trainer => (trainer.Name, trainer.Task) == (name, data.Task)).Make;
                if (make is null)
                {
                    Console.Write("-".PadLeft(Width));
                    continue;
                }
                long start = Stopwatch.GetTimestamp();
                double[] scores = [.. Enumerable.Range(1, seeds).Select(seed => CrossValidate(data, make, seed))];
                times[name] += Stopwatch.GetElapsedTime(start);
                means[name] = scores.Average();
                Console.Write(Text(scores).PadLeft(Width));
            }
            double behind = means.Values.Max() - means["network"];
            isGoodEnough &= behind <= Allowed;
            Console.WriteLine(behind > Allowed ? $"  {behind:F3} behind" : "");
        }
        Console.WriteLine("seconds in all".PadRight(NameWidth)
            + string.Concat(names.Select(name => times[name].TotalSeconds.ToString("N0").PadLeft(Width))));
        return isGoodEnough ? 0 : 1;
    }

    /// <summary>The mean over the folds of a division of the rows.</summary>
    public static double CrossValidate(DataSet data, Func<MLContext, IEstimator<ITransformer>> make, int seed)
    {
        int[] order = [.. Enumerable.Range(0, data.Rows.Count)];
        new Random(seed).Shuffle(order);
        return Enumerable.Range(0, Folds).Average(fold =>
        {
            var context = new MLContext(seed);
            IDataView training = data.View(context, order.Where((_, place) => place % Folds != fold));
            IDataView held = data.View(context, order.Where((_, place) => place % Folds == fold));
            IDataView scored = make(context).Fit(training).Transform(held);
            return data.Task switch
            {
                Task.Multiclass => context.MulticlassClassification.Evaluate(scored, "Key").MicroAccuracy,
                Task.Binary => context.BinaryClassification.Evaluate(scored, "IsOne").Accuracy,
                _ => context.Regression.Evaluate(scored, "Value").RSquared,
            };
        });
    }

    static IEstimator<ITransformer> Normalized(MLContext context, IEstimator<ITransformer> trainer) =>
        context.Transforms.NormalizeMeanVariance("Features", fixZero: false).Append(trainer);

    static string Text(double[] scores)
    {
        double mean = scores.Average();
        double deviation = Math.Sqrt(scores.Sum(score => (score - mean) * (score - mean)) / Math.Max(1, scores.Length - 1));
        return string.Create(CultureInfo.InvariantCulture, $"{mean:F3} ± {deviation:F3}");
    }
}
