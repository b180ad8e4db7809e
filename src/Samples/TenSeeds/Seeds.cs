using System.Diagnostics;

namespace TenSeeds;

/// <summary>Does the same work with ten seeds.</summary>
static class Seeds
{
    const int Count = 10;

    /// <summary>Does the work with the seeds 1 to 10.</summary>
    /// <param name="names">The names of the accuracies.</param>
    /// <param name="rows">The number of rows that the work of one seed sees.</param>
    /// <param name="work">Does the work with a seed, reports its progress, and returns the accuracies.</param>
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

    /// <summary>The mean, deviation, worst and best of one accuracy over all seeds, as cells of a table.</summary>
    public static string[] Summarize(IReadOnlyList<SeedResult> results, int index)
    {
        double[] values = [.. results.Select(result => result.Accuracies[index])];
        double mean = values.Average();
        double deviation = Math.Sqrt(values.Sum(value => Math.Pow(value - mean, 2)) / (values.Length - 1));
        return [$"{mean:0.0 %}", $"{deviation:0.0 %}", $"{values.Min():0.0 %}", $"{values.Max():0.0 %}"];
    }

    static string Named(string name, double accuracy) => $"{name} {accuracy:0.0 %}";
}

/// <summary>The result of one seed.</summary>
sealed record SeedResult(double[] Accuracies, double Seconds);
