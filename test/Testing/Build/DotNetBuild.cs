using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Runs the SDK on this repository's projects, as they were built for the tests, and on others.</summary>
static class DotNetBuild
{
    public const string Configuration =
#if DEBUG
        "Debug";
#else
        "Release";
#endif

    public static string Root { get; } = FindRoot(AppContext.BaseDirectory);

    public static void Run(string verb, string project, params IEnumerable<string> arguments) =>
        Execute([verb, Path.Combine(Root, project), "--configuration", Configuration, "--no-restore", .. arguments]);

    /// <summary>Runs <c>dotnet</c> in a folder, asserts that it succeeds, and returns what it printed.</summary>
    /// <remarks>
    /// A build leaves empty folders in the temporary folder. It gets one that is deleted afterwards, so no process of
    /// the SDK may outlive it.
    /// </remarks>
    public static string Execute(
        IEnumerable<string> arguments, string? folder = null, params (string Name, string Value)[] environment)
    {
        DirectoryInfo temporary = Directory.CreateTempSubdirectory("dotnet-");
        try
        {
            return ExecuteWith(
                arguments, folder,
                [
                    ("TMPDIR", temporary.FullName), ("TMP", temporary.FullName), ("TEMP", temporary.FullName),
                    ("MSBUILDDISABLENODEREUSE", "1"), ("UseSharedCompilation", "false"), .. environment,
                ]);
        }
        finally
        {
            temporary.Delete(recursive: true);
        }
    }

    // A name of its own: an array of variables would call the method above again.
    static string ExecuteWith(
        IEnumerable<string> arguments, string? folder, IEnumerable<(string Name, string Value)> environment)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments)
        {
            RedirectStandardOutput = true,
            WorkingDirectory = folder ?? "",
        };
        // A test host sets these for itself; a build inside it must find its own.
        start.Environment.Remove("MSBuildSDKsPath");
        start.Environment.Remove("MSBuildExtensionsPath");
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, output);
        return output;
    }

    static string FindRoot(string folder) =>
        File.Exists(Path.Combine(folder, "BatchNormExtensions.sln"))
            ? folder
            : FindRoot(Path.GetDirectoryName(folder.TrimEnd('/', '\\'))!);
}
