using System.Globalization;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What a table counts, and how it writes that down.</summary>
/// <param name="Name">The unit, for the table's title.</param>
/// <param name="Format">Writes down an amount for each second.</param>
sealed record Unit(string Name, Func<double, string> Format)
{
    public static Unit RowsPerSecond { get; } = new("rows a second", rate => Number(rate, "N0"));

    public static Unit GigabytesPerSecond { get; } = new("GB/s", rate => Number(rate / 1e9, "F1"));

    public static Unit GigaflopsPerSecond { get; } = new("GFLOP/s", rate => Number(rate / 1e9, "F1"));

    public static Unit Microseconds { get; } = new("µs", rate => Number(1e6 / rate, "N3"));

    static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
