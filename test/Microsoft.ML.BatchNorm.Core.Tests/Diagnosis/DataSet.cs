using System.Globalization;
using Samples;

namespace Microsoft.ML.BatchNorm.Tests.Diagnosis;

/// <summary>Rows of a real data set with their classes, split at random, in the order of the file or shuffled.</summary>
sealed record DataSet(int Features, int Classes, float[][] Rows, int[] Labels)
{
    public static IReadOnlyList<string> Names { get; } = ["iris", "wine", "breast_cancer", "digits"];

    public static DataSet Load(string name)
    {
        string[] lines = name == "digits"
            ? Digits.Lines()
            : File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "data", name + ".csv"))[1..];
        float[][] rows = Array.ConvertAll(lines, line => Array.ConvertAll(
            line.Split(','), cell => float.Parse(cell, CultureInfo.InvariantCulture)));
        int features = rows[0].Length - 1;
        int[] labels = Array.ConvertAll(rows, row => (int)row[features]);
        return new DataSet(features, labels.Max() + 1, Array.ConvertAll(rows, row => row[..features]), labels);
    }

    public (DataSet Train, DataSet HeldOut) Split(int train, int seed)
    {
        int[] order = [.. Enumerable.Range(0, Rows.Length)];
        new Random(seed).Shuffle(order);
        return (Take(order[..train]), Take(order[train..]));
    }

    public DataSet Take(int[] rows) => this with
    {
        Rows = [.. rows.Select(row => Rows[row])], Labels = [.. rows.Select(row => Labels[row])],
    };

    public DataSet SortedByClass() => Take([.. Enumerable.Range(0, Labels.Length).OrderBy(row => Labels[row])]);

    /// <summary>Each feature minus a mean, by a deviation, which are those of other rows.</summary>
    public DataSet Standardized(DataSet by)
    {
        var statistics = new BatchStatistics(Features);
        statistics.Add(ChannelLayout.Features(by.Rows.Length, Features), [.. by.Rows.SelectMany(row => row)]);
        return Map((value, c) => (float)((value - statistics.Mean[c]) / Math.Sqrt(statistics.Variance(c) + 1e-6)));
    }

    public DataSet Map(Func<float, int, float> map) =>
        this with { Rows = Array.ConvertAll(Rows, row => row.Select(map).ToArray()) };

    public TrainingData ToData() => new(
        Rows.Length, Rows.SelectMany(row => row).ToArray(), Array.ConvertAll(Labels, label => (float)label));
}
