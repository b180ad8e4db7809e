using System.Diagnostics;
using Microsoft.ML.BatchNorm;
using Spectre.Console;

namespace TransferLearning;

/// <summary>The same work from ten seeds; shows how far it is: a bar in a terminal, a line a seed elsewhere.</summary>
static class Seeds
{
    const int Count = 10;

    /// <summary>The work of the seeds 1 to 10.</summary>
    /// <param name="names">What the accuracies are of.</param>
    /// <param name="epochs">The epochs that the work of one seed takes.</param>
    /// <param name="work">From a seed, and whom to tell how far it is, to accuracies.</param>
    public static IReadOnlyList<SeedResult> Run(
        string[] names, int epochs, Func<int, IProgress<TrainingProgress>, double[]> work)
    {
        var results = new List<SeedResult>();
        if (Show.IsTerminal)
            AnsiConsole.Progress()
                .Columns(
                    new ProgressBarColumn { Width = 20 }, new PercentageColumn(), new RemainingTimeColumn(),
                    new TaskDescriptionColumn { Alignment = Justify.Left })
                .Start(context => Take(new SeedProgress(context.AddTask("seed 1", maxValue: Count * epochs))));
        else
            Take(new SeedProgress());
        return results;

        void Take(SeedProgress progress)
        {
            for (int seed = 1; seed <= Count; seed++)
            {
                progress.Name = $"seed {seed} of {Count}";
                var watch = Stopwatch.StartNew();
                double[] accuracies = work(seed, progress);
                results.Add(new SeedResult(accuracies, watch.Elapsed.TotalSeconds));
                if (!Show.IsTerminal)
                    Show.Text($"seed {seed}: {string.Join(", ", names.Zip(accuracies, Named))}");
            }
        }
    }

    /// <summary>Mean, deviation, worst and best of one accuracy over all seeds, as a table has them.</summary>
    public static string[] Summarize(IReadOnlyList<SeedResult> results, int index)
    {
        double[] values = [.. results.Select(result => result.Accuracies[index])];
        double mean = values.Average();
        double deviation = Math.Sqrt(values.Sum(value => Math.Pow(value - mean, 2)) / (values.Length - 1));
        return [$"{mean:0.0 %}", $"{deviation:0.0 %}", $"{values.Min():0.0 %}", $"{values.Max():0.0 %}"];
    }

    static string Named(string name, double accuracy) => $"{name} {accuracy:0.0 %}";
}

/// <summary>What one seed came to.</summary>
sealed record SeedResult(double[] Accuracies, double Seconds);
