using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>What the figures were measured on.</summary>
static class Machine
{
    public static void Print()
    {
        Console.WriteLine($"{Processor}, {Environment.ProcessorCount} processors, vectors of {Bits} bits{Load}");
        Console.WriteLine($"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}");
        Console.WriteLine(
            $"TorchSharp {typeof(torch).Assembly.GetName().Version}, "
            + (Libtorch.Problem.Length == 0 ? $"libtorch {torch.__version__}" : $"no libtorch: {Libtorch.Problem}"));
        Console.WriteLine("Ours and its peers take turns. A ratio says how many times as fast ours is.");
    }

    static string Processor
    {
        get
        {
            const string Key = "model name";
            string? line = OperatingSystem.IsLinux()
                ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(text => text.StartsWith(Key, StringComparison.Ordinal))
                : null;
            return line?[(line.IndexOf(':') + 1)..].Trim()
                ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER")
                ?? RuntimeInformation.ProcessArchitecture.ToString();
        }
    }

    static int Bits => Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;

    /// <summary>How many threads have wanted a processor in the last minute, where the system tells.</summary>
    static string Load => OperatingSystem.IsLinux()
        ? $"; load before this run {File.ReadAllText("/proc/loadavg").Split(' ')[0]}"
        : "";
}
