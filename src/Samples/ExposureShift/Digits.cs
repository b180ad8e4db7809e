using System.IO.Compression;
using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>
/// Handwritten digits: <paramref name="Pixels"/> holds 64 values a row (8 x 8 pixels, 0 for paper to 16 for ink), and
/// <paramref name="Labels"/> the digit each row shows.
/// </summary>
sealed record Digits(float[] Pixels, int[] Labels)
{
    public const int Width = 8;
    public const int PixelCount = Width * Width;
    public const int Classes = 10;
    public const float Ink = 16;

    public int Rows => Labels.Length;

    /// <summary>Each pixel is a channel of its own.</summary>
    public ChannelLayout Layout => ChannelLayout.Features(Rows, PixelCount);

    /// <summary>All 1,797 rows, from the file beside the program.</summary>
    public static Digits Load()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "data", "digits.csv.gz");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        var pixels = new List<float>();
        var labels = new List<int>();
        while (reader.ReadLine() is { } line)
        {
            int[] values = Array.ConvertAll(line.Split(','), int.Parse);
            pixels.AddRange(values[..PixelCount].Select(value => (float)value));
            labels.Add(values[PixelCount]);
        }
        return new Digits([.. pixels], [.. labels]);
    }

    /// <summary>The given rows, in the given order.</summary>
    public Digits Take(IReadOnlyList<int> rows) =>
        new([.. rows.SelectMany(row => Row(row))], [.. rows.Select(row => Labels[row])]);

    /// <summary>A random part for training, and the rest for testing.</summary>
    public (Digits Train, Digits Test) Split(int trainRows, Random random)
    {
        int[] order = [.. Enumerable.Range(0, Rows)];
        random.Shuffle(order);
        return (Take(order[..trainRows]), Take(order[trainRows..]));
    }

    /// <summary>
    /// The same digits under another exposure: every pixel becomes gain * pixel + haze, within 0 to 16.
    /// </summary>
    public Digits Expose(float gain, float haze) =>
        this with { Pixels = Array.ConvertAll(Pixels, pixel => Math.Clamp(gain * pixel + haze, 0, Ink)) };

    ArraySegment<float> Row(int row) => new(Pixels, row * PixelCount, PixelCount);
}
