using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Trainers.FastTree;
using Microsoft.ML.Trainers.LightGbm;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// How well trainers predict with no option said: the network trainers beside ML.NET's own, by cross-validation.
/// </summary>
static class DefaultsBenchmark
{
    const int Folds = 5, NameWidth = 24, Width = 16;
    const string Network = "network";

    /// <summary>What the network trainers may lose against the best of ML.NET's own.</summary>
    const double Allowed = 0.02;

    /// <summary>
    /// ML.NET's linear trainers get normalized features, the others the features as they are. One thread is as good as
    /// several, and gives the same model each time.
    /// </summary>
    static readonly (string Name, Problem Problem, Func<MLContext, IEstimator<ITransformer>> Make)[] trainers =
    [
        (Network, Problem.Multiclass, ml => ml.MulticlassClassification.Trainers.BatchNormNetwork("Key")),
        ("LightGbm", Problem.Multiclass, ml => ml.MulticlassClassification.Trainers.LightGbm(
            new LightGbmMulticlassTrainer.Options { LabelColumnName = "Key", NumberOfThreads = 1 })),
        ("Sdca", Problem.Multiclass, ml => Normalized(ml, ml.MulticlassClassification.Trainers.SdcaMaximumEntropy(
            new SdcaMaximumEntropyMulticlassTrainer.Options { LabelColumnName = "Key", NumberOfThreads = 1 }))),
        ("Lbfgs", Problem.Multiclass, ml => Normalized(
            ml, ml.MulticlassClassification.Trainers.LbfgsMaximumEntropy("Key"))),
        (Network, Problem.Binary, ml => ml.BinaryClassification.Trainers.BatchNormNetwork("IsOne")),
        ("LightGbm", Problem.Binary, ml => ml.BinaryClassification.Trainers.LightGbm(
            new LightGbmBinaryTrainer.Options { LabelColumnName = "IsOne", NumberOfThreads = 1 })),
        ("FastTree", Problem.Binary, ml => ml.BinaryClassification.Trainers.FastTree(
            new FastTreeBinaryTrainer.Options { LabelColumnName = "IsOne", NumberOfThreads = 1 })),
        ("Sdca", Problem.Binary, ml => Normalized(ml, ml.BinaryClassification.Trainers.SdcaLogisticRegression(
            new SdcaLogisticRegressionBinaryTrainer.Options { LabelColumnName = "IsOne", NumberOfThreads = 1 }))),
        ("Lbfgs", Problem.Binary, ml => Normalized(
            ml, ml.BinaryClassification.Trainers.LbfgsLogisticRegression("IsOne"))),
        (Network, Problem.Regression, ml => ml.Regression.Trainers.BatchNormNetwork("Value")),
        ("LightGbm", Problem.Regression, ml => ml.Regression.Trainers.LightGbm(
            new LightGbmRegressionTrainer.Options { LabelColumnName = "Value", NumberOfThreads = 1 })),
        ("FastTree", Problem.Regression, ml => ml.Regression.Trainers.FastTree(
            new FastTreeRegressionTrainer.Options { LabelColumnName = "Value", NumberOfThreads = 1 })),
        ("Sdca", Problem.Regression, ml => Normalized(ml, ml.Regression.Trainers.Sdca(
            new SdcaRegressionTrainer.Options { LabelColumnName = "Value", NumberOfThreads = 1 }))),
    ];

    /// <returns>0, or 1 if the network trainers lose by more than is allowed, or the arguments are wrong.</returns>
    public static int Run(string[] arguments)
    {
        int seeds = 10;
        string[] words = arguments;
        if (arguments is ["--seeds", var text, ..])
            words = int.TryParse(text, CultureInfo.InvariantCulture, out seeds) ? arguments[2..] : arguments;
        DataSet[] chosen = [.. DataSet.All.Where(data => words.All(
            word => data.Name.Contains(word, StringComparison.OrdinalIgnoreCase)))];
        if (chosen.Length == 0 || seeds < 1)
        {
            Console.WriteLine(Request.Help);
            return 1;
        }
        Console.WriteLine(
            $"Accuracy or R², {Folds} folds, {seeds} seeds: the mean ± the deviation of a seed's mean over its folds");
        string[] names = [.. trainers.Select(trainer => trainer.Name).Distinct()];
        Console.WriteLine(Line("", names));
        var times = names.ToDictionary(name => name, _ => TimeSpan.Zero);
        bool isNear = true;
        foreach (DataSet data in chosen)
        {
            var means = new Dictionary<string, double>();
            string[] cells = [.. names.Select(name =>
            {
                if (trainers.FirstOrDefault(trainer => (trainer.Name, trainer.Problem) == (name, data.Problem)).Make
                    is not { } make)
                    return "-";
                long start = Stopwatch.GetTimestamp();
                double[] scores = [.. Enumerable.Range(1, seeds).Select(seed => CrossValidate(data, make, seed))];
                times[name] += Stopwatch.GetElapsedTime(start);
                means[name] = scores.Average();
                return Text(scores);
            })];
            double behind = means.Values.Max() - means[Network];
            isNear &= behind <= Allowed || data.MayLose;
            Console.WriteLine(Line(data.Name, cells) + (behind <= Allowed ? "" : $"   {behind:F3} behind"));
        }
        Console.WriteLine(Line("seconds", names.Select(name => $"{times[name].TotalSeconds:F0}")));
        return isNear ? 0 : 1;
    }

    static string Line(string name, IEnumerable<string> cells) =>
        name.PadRight(NameWidth) + string.Concat(cells.Select(cell => cell.PadLeft(Width)));

    /// <summary>The mean over the folds of a division of the rows.</summary>
    static double CrossValidate(DataSet data, Func<MLContext, IEstimator<ITransformer>> make, int seed)
    {
        int[] order = [.. Enumerable.Range(0, data.Rows.Count)];
        new Random(seed).Shuffle(order);
        return Enumerable.Range(0, Folds).Average(fold =>
        {
            var context = new MLContext(seed);
            IDataView training = data.View(context, order.Where((_, place) => place % Folds != fold));
            IDataView held = data.View(context, order.Where((_, place) => place % Folds == fold));
            IDataView scored = make(context).Fit(training).Transform(held);
            return data.Problem switch
            {
                Problem.Multiclass => context.MulticlassClassification.Evaluate(scored, "Key").MicroAccuracy,
                Problem.Binary => context.BinaryClassification.Evaluate(scored, "IsOne").Accuracy,
                _ => context.Regression.Evaluate(scored, "Value").RSquared,
            };
        });
    }

    static EstimatorChain<ITransformer> Normalized(MLContext context, IEstimator<ITransformer> trainer) =>
        context.Transforms.NormalizeMeanVariance("Features", fixZero: false).AppendCacheCheckpoint(context)
            .Append(trainer);

    static string Text(double[] scores)
    {
        double mean = scores.Average();
        double squares = scores.Sum(score => (score - mean) * (score - mean));
        double deviation = Math.Sqrt(squares / Math.Max(1, scores.Length - 1));
        return string.Create(CultureInfo.InvariantCulture, $"{mean:F3} ± {deviation:F3}");
    }
}
