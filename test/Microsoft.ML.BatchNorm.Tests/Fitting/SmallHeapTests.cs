using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Tests.Fitting;

/// <summary>A process whose heap is a fraction of the data fits it.</summary>
[TestClass]
public class SmallHeapTests
{
    const long Rows = 20_000_000;

    /// <summary>Rows of four values are 320 MB, of sixteen 1.3 GB.</summary>
    const int HeapBytes = 16 << 20;

    [TestMethod]
    [DataRow(MovingStatistics.Population, 4, false, DisplayName = "exact statistics of batches")]
    [DataRow(MovingStatistics.Population, 16, false, DisplayName = "exact statistics of rows")]
    [DataRow(MovingStatistics.Population, 16, true, DisplayName = "exact statistics of the rows of two cursors")]
    [DataRow(MovingStatistics.Exponential, 4, false, DisplayName = "an average")]
    public void Twenty_million_rows_are_fitted_in_a_heap_of_16_megabytes(MovingStatistics kind, int length, bool isSet)
    {
        double[][] slots = Fit(kind, length, shuffle: false, isSet);
        for (int slot = 0; slot < length; slot++)
        {
            Assert.AreEqual(slot + 3.5, slots[slot][0], 1e-9);
            Assert.AreEqual(5.25, slots[slot][1], 1e-9);
        }
    }

    [TestMethod]
    public void Shuffled_they_are_too()
    {
        double[][] slots = Fit(MovingStatistics.Cumulative, 4, shuffle: true, isSet: false);
        for (int slot = 0; slot < slots.Length; slot++)
            Assert.AreEqual(slot + 3.5, slots[slot][0], 1e-9);
    }

    /// <summary>Mean and variance of each slot.</summary>
    static double[][] Fit(MovingStatistics kind, int length, bool shuffle, bool isSet)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "FreshProcess.dll");
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", program, "fit", $"{kind}", $"{shuffle}", $"{length}", $"{Rows}", $"{isSet}"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_GCHeapHardLimit"] = HeapBytes.ToString("X", CultureInfo.InvariantCulture);
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors.Result);
        Assert.AreEqual(length + 1, lines.Length);
        Assert.AreEqual(HeapBytes, int.Parse(lines[0], CultureInfo.InvariantCulture), "The heap is not limited.");
        return [.. lines[1..].Select(line => Array.ConvertAll(
            line.Split(' '), number => double.Parse(number, CultureInfo.InvariantCulture)))];
    }
}
