using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Tests.Trainers;

/// <summary>A process whose heap is a fraction of the data trains on it.</summary>
[TestClass]
public class LargeDataTests
{
    /// <summary>Rows of 100 features and a label are 404 MB.</summary>
    const int HeapBytes = 160 << 20, Length = 100, Rows = 1_000_000;

    [TestMethod]
    public void A_network_is_trained_on_more_rows_than_the_heap_holds_to_the_bits_of_a_large_heap()
    {
        string[] small = Train(HeapBytes);
        Assert.AreEqual(HeapBytes, int.Parse(small[0], CultureInfo.InvariantCulture), "The heap is not limited.");
        Assert.IsTrue(double.Parse(small[1], CultureInfo.InvariantCulture) > 0.99, $"accuracy {small[1]}");
        Assert.AreEqual(Train(null)[2], small[2]);
    }

    static string[] Train(int? heapBytes)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "FreshProcess.dll");
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", program, "train", $"{Length}", $"{Rows}"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (heapBytes is { } bytes)
            start.Environment["DOTNET_GCHeapHardLimit"] = bytes.ToString("X", CultureInfo.InvariantCulture);
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors.Result);
        Assert.HasCount(3, lines);
        return lines;
    }
}
