using System.IO.Compression;
using Microsoft.ML.BatchNorm;

namespace Samples;

/// <summary>
/// Handwritten digits as networks take them: <paramref name="Pixels"/> holds 64 values a row (8 x 8 pixels, from 0 for
/// paper to 1 for ink), and <paramref name="Labels"/> the digit that each row shows.
/// </summary>
sealed record Digits(float[] Pixels, int[] Labels)
{
    public const int PixelCount = 64;
    const int TrainRows = 1437, SplitSeed = 2026;
    const float Ink = 16;

    public int Rows => Labels.Length;

    /// <summary>
    /// All 1,797 rows, from the file beside the program, always in the same two parts of 1,437 and 360.
    /// </summary>
    public static (Digits Train, Digits Test) Load()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        var pixels = new List<float>();
        var labels = new List<int>();
        while (reader.ReadLine() is { } line)
        {
            int[] values = Array.ConvertAll(line.Split(','), int.Parse);
            pixels.AddRange(values[..PixelCount].Select(value => value / Ink));
            labels.Add(values[PixelCount]);
        }
        var all = new Digits([.. pixels], [.. labels]);
        int[] order = [.. Enumerable.Range(0, all.Rows)];
        new Random(SplitSeed).Shuffle(order);
        return (all.Take(order[..TrainRows]), all.Take(order[TrainRows..]));
    }

    /// <summary>The rows that show a digit from <paramref name="first"/> to <paramref name="last"/>.</summary>
    public Digits Between(int first, int last) =>
        Take([.. AllRows().Where(row => Labels[row] >= first && Labels[row] <= last)]);

    /// <summary>That many random rows of each digit.</summary>
    public Digits PerClass(int rows, int seed)
    {
        int[] order = [.. AllRows()];
        new Random(seed).Shuffle(order);
        return Take([.. order.GroupBy(row => Labels[row]).SelectMany(group => group.Take(rows))]);
    }

    /// <summary>What a network is trained on; the class of a row is its digit less <paramref name="first"/>.</summary>
    public TrainingData ToData(int first = 0) =>
        new(Rows, Pixels, Array.ConvertAll(Labels, label => (float)(label - first)));

    /// <summary>The digits under another exposure: every pixel becomes gain * pixel + haze, within 0 to 1.</summary>
    public Digits Expose(float gain, float haze) =>
        this with { Pixels = Array.ConvertAll(Pixels, pixel => Math.Clamp(gain * pixel + haze, 0, 1)) };

    /// <summary>The first rows, and the others.</summary>
    public (Digits First, Digits Others) Split(int rows) =>
        (Take([.. AllRows().Take(rows)]), Take([.. AllRows().Skip(rows)]));

    IEnumerable<int> AllRows() => Enumerable.Range(0, Rows);

    Digits Take(int[] rows) => new(
        [.. rows.SelectMany(row => new ArraySegment<float>(Pixels, row * PixelCount, PixelCount))],
        [.. rows.Select(row => Labels[row])]);
}
