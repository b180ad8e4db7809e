using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>An application that has TorchSharp without libtorch is told which package to add.</summary>
[TestClass]
public class MissingNativeTests
{
    const string Program = "FreshProcess.TorchSharp";

    [TestMethod]
    [DataRow("cpu")]
    [DataRow("cuda")]
    public void Without_libtorch_the_error_names_the_packages_and_nothing_else_is_written(string device)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("native-");
        try
        {
            // The managed assemblies alone: no native library, and no list of where one might be.
            foreach (string file in Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll"))
                File.Copy(file, Path.Combine(folder.FullName, Path.GetFileName(file)));
            File.Copy(
                Path.Combine(AppContext.BaseDirectory, $"{Program}.runtimeconfig.json"),
                Path.Combine(folder.FullName, $"{Program}.runtimeconfig.json"));
            string output = Run(folder.FullName, device).Trim();
            StringAssert.StartsWith(output, "InvalidOperationException: ");
            StringAssert.Contains(output, "TorchSharp-cpu");
            StringAssert.Contains(output, "TorchSharp-cuda-");
            Assert.AreEqual(1, output.Split('\n').Length, output);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static string Run(string folder, string device)
    {
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", Path.Combine(folder, $"{Program}.dll"), device])
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, output);
        return output;
    }
}
