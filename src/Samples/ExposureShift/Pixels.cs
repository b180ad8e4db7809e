using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>
/// The pixels of the tables, by row and column: the first has ink in most digits, the last in none.
/// </summary>
static class Pixels
{
    public static IReadOnlyList<(string Name, int Index)> Shown { get; } =
    [
        ("stroke (2, 3)", At(2, 3)),
        ("centre (4, 4)", At(4, 4)),
        ("faint (1, 8)", At(1, 8)),
        ("blank (1, 1)", At(1, 1)),
    ];

    public static IEnumerable<int> All { get; } = Enumerable.Range(0, Digits.PixelCount);

    /// <summary>The exact mean and variance of each of the 64 pixels.</summary>
    public static BatchStatistics Statistics(float[] values)
    {
        var statistics = new BatchStatistics(Digits.PixelCount);
        statistics.Add(ChannelLayout.Features(values.Length / Digits.PixelCount, Digits.PixelCount), values);
        return statistics;
    }

    /// <summary>The mean and the deviation of a pixel, as a cell of a table.</summary>
    public static string Cell(BatchStatistics statistics, int pixel) =>
        Cell(statistics.Mean[pixel], statistics.Variance(pixel));

    public static string Cell(double mean, double variance) => $"{mean:0.00;-0.00;0.00} / {Math.Sqrt(variance):0.00}";

    static int At(int row, int column) => (row - 1) * Digits.Width + column - 1;
}
