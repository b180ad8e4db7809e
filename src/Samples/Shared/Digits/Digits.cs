using System.IO.Compression;
using Microsoft.ML.BatchNorm;

namespace Samples;

/// <summary>Handwritten digits of 8 x 8 pixels.</summary>
/// <param name="Pixels">64 values per row, from 0 for paper to <paramref name="Ink"/>.</param>
/// <param name="Labels">The digit of each row.</param>
/// <param name="Ink">The value of the darkest pixel.</param>
sealed record Digits(float[] Pixels, int[] Labels, float Ink = 1)
{
    public const int Width = 8, PixelCount = Width * Width, Classes = 10;
    const int TrainRows = 1437, SplitSeed = 2026;

    public int Rows => Labels.Length;

    /// <summary>Each pixel is a channel.</summary>
    public ChannelLayout Layout => ChannelLayout.Features(Rows, PixelCount);

    /// <summary>All 1,797 rows, always in the same two parts of 1,437 and 360.</summary>
    public static (Digits Train, Digits Test) Load() => All().Split(TrainRows, new Random(SplitSeed));

    /// <summary>All 1,797 rows.</summary>
    public static Digits All(float ink = 1)
    {
        const int FileInk = 16;
        int[][] rows = Array.ConvertAll(Lines(), line => Array.ConvertAll(line.Split(','), int.Parse));
        return new Digits(
            [.. rows.SelectMany(row => row[..PixelCount], (_, value) => value * ink / FileInk)],
            [.. rows.Select(row => row[PixelCount])], ink);
    }

    /// <summary>The lines of the file beside the program: 64 pixels from 0 to 16 and the digit.</summary>
    public static string[] Lines()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>The rows of the digits from <paramref name="first"/> to <paramref name="last"/>.</summary>
    public Digits Between(int first, int last) =>
        Take([.. AllRows().Where(row => Labels[row] >= first && Labels[row] <= last)]);

    /// <summary>The same number of random rows of each digit.</summary>
    public Digits PerClass(int rows, int seed)
    {
        int[] order = [.. AllRows()];
        new Random(seed).Shuffle(order);
        return Take([.. order.GroupBy(row => Labels[row]).SelectMany(group => group.Take(rows))]);
    }

    /// <summary>Data to train a network with. The class of a row is its digit minus <paramref name="first"/>.</summary>
    public TrainingData ToData(int first = 0) =>
        new(Rows, Pixels, Array.ConvertAll(Labels, label => (float)(label - first)));

    /// <summary>
    /// The digits under another exposure: every pixel becomes gain * pixel + haze, within 0 to <see cref="Ink"/>.
    /// </summary>
    public Digits Expose(float gain, float haze) =>
        this with { Pixels = Array.ConvertAll(Pixels, pixel => Math.Clamp(gain * pixel + haze, 0, Ink)) };

    /// <summary>The first rows, and the others.</summary>
    public (Digits First, Digits Others) Split(int rows) => Split(rows, [.. AllRows()]);

    /// <summary>Random rows, and the others.</summary>
    public (Digits First, Digits Others) Split(int rows, Random random)
    {
        int[] order = [.. AllRows()];
        random.Shuffle(order);
        return Split(rows, order);
    }

    /// <summary>The given rows, in the given order.</summary>
    public Digits Take(int[] rows) => this with
    {
        Pixels = [.. rows.SelectMany(row => new ArraySegment<float>(Pixels, row * PixelCount, PixelCount))],
        Labels = [.. rows.Select(row => Labels[row])],
    };

    IEnumerable<int> AllRows() => Enumerable.Range(0, Rows);

    (Digits First, Digits Others) Split(int rows, int[] order) => (Take(order[..rows]), Take(order[rows..]));
}
