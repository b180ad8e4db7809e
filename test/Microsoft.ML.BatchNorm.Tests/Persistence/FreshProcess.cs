using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Runs the test program that loads models and names no type of this library.</summary>
static class FreshProcess
{
    /// <summary>Transforms a binary data file, and gives the path of the result beside it.</summary>
    public static string Transform(string model, string input)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.BatchNorm.FreshProcess.dll");
        string output = Path.ChangeExtension(input, ".out.idv");
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", ["exec", program, model, input, output])
        {
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, errors);
        return output;
    }
}
