using System.Diagnostics;

namespace TenSeeds;

/// <summary>The same work from ten seeds.</summary>
static class Seeds
{
    const int Count = 10;

    /// <summary>The work of the seeds 1 to 10.</summary>
    /// <param name="names">What the accuracies are of.</param>
    /// <param name="rows">The rows that the work of one seed goes through.</param>
    /// <param name="work">From a seed, and whom to tell how far it is, to accuracies.</param>
    public static IReadOnlyList<SeedResult> Run(string[] names, long rows, Func<int, RowProgress, double[]> work)
    {
        SeedResult[] results = Show.Progress(
            $"{Count} seeds", Count * rows,
            progress => Enumerable.Range(1, Count).Select(seed => Take(seed, progress)).ToArray());
        for (int seed = 1; seed <= Count; seed++)
            Show.Text($"seed {seed}: {string.Join(", ", names.Zip(results[seed - 1].Accuracies, Named))}");
        return results;

        SeedResult Take(int seed, RowProgress progress)
        {
            var watch = Stopwatch.StartNew();
            return new SeedResult(work(seed, progress), watch.Elapsed.TotalSeconds);
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
