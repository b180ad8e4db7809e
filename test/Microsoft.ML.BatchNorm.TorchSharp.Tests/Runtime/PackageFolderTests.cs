using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>
/// In a notebook or a script TorchSharp and libtorch lie in package folders of their own, and nothing beside the
/// application.
/// </summary>
[TestClass]
public class PackageFolderTests
{
    const string Program = "FreshProcess.TorchSharp", Engine = "Microsoft.ML.BatchNorm";

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("packages-");

    static string Natives { get; } = Path.Combine("runtimes", "linux-x64", "native");

    static string TorchSharpVersion { get; } = typeof(torch).Assembly.GetName().Version!.ToString(3);

    [TestCleanup]
    public void Delete() => folder.Delete(recursive: true);

    [TestMethod]
    public void Libtorch_is_found_in_its_package_folder()
    {
        Lay(withLibtorch: true);
        Assert.AreEqual("cpu", Run("cpu")[^1]);
    }

    [TestMethod]
    public void TorchSharp_is_loaded_although_libstdcxx_lacks_the_version_of_the_marker()
    {
        Lay(withLibtorch: true);
        byte[] library = NativeFile.Read();
        NativeFile.Lose(library, "GLIBCXX_3.4.32");
        string file = Path.Combine(folder.FullName, "torchsharp", TorchSharpVersion, Natives, "libLibTorchSharp.so");
        File.Delete(file);
        File.WriteAllBytes(file, library);
        Assert.AreEqual("cpu", Run("cpu")[^1]);
    }

    [TestMethod]
    public void The_error_says_that_libtorch_in_its_package_folder_has_no_CUDA()
    {
        Lay(withLibtorch: true);
        if (File.Exists(Path.Combine(NativeFile.Folder, "libtorch_cuda.so")))
            Assert.Inconclusive("This libtorch has CUDA.");
        StringAssert.Contains(Run("cuda")[^1], "has no CUDA");
    }

    [TestMethod]
    public void Without_libtorch_the_error_names_the_packages()
    {
        Lay(withLibtorch: false);
        string last = Run("cpu")[^1];
        StringAssert.StartsWith(last, "InvalidOperationException: ");
        StringAssert.Contains(last, "TorchSharp-cpu");
    }

    /// <summary>The folders as NuGet lays them.</summary>
    void Lay(bool withLibtorch)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Inconclusive("The layout is tried on Linux.");
        string version = TorchSharpVersion;
        string library = Path.Combine("torchsharp", version, "lib", "net8.0");
        Directory.CreateDirectory(Path.Combine(folder.FullName, library));
        File.Copy(typeof(torch).Assembly.Location, Path.Combine(folder.FullName, library, "TorchSharp.dll"));
        foreach (string name in (string[])[$"{Program}.dll", $"{Engine}.TorchSharp.dll", $"{Engine}.Core.dll",
            $"{Program}.runtimeconfig.json"])
            File.Copy(Path.Combine(AppContext.BaseDirectory, name), Path.Combine(folder.FullName, name));
        File.WriteAllText(Path.Combine(folder.FullName, $"{Program}.deps.json"), $$"""
            {
              "runtimeTarget": { "name": ".NETCoreApp,Version=v10.0" },
              "targets": { ".NETCoreApp,Version=v10.0": {
                "App/1.0.0": { "runtime": {
                  "{{Program}}.dll": {}, "{{Engine}}.TorchSharp.dll": {}, "{{Engine}}.Core.dll": {} } },
                "TorchSharp/{{version}}": { "runtime": { "lib/net8.0/TorchSharp.dll": {} } } } },
              "libraries": {
                "App/1.0.0": { "type": "project", "serviceable": false, "sha512": "" },
                "TorchSharp/{{version}}": {
                  "type": "package", "serviceable": true, "sha512": "", "path": "torchsharp/{{version}}" } }
            }
            """);
        if (!withLibtorch)
            return;
        Link("libLibTorchSharp.so*", Path.Combine("torchsharp", version));
        string libtorch = Path.Combine("libtorch-cpu-linux-x64", torch.NormalizeNuGetVersion(torch.__version__));
        foreach (string names in (string[])["libtorch*.so", "libc10*.so", "libgomp-*"])
            Link(names, libtorch);
    }

    void Link(string names, string package)
    {
        DirectoryInfo target = Directory.CreateDirectory(Path.Combine(folder.FullName, package, Natives));
        foreach (string file in Directory.GetFiles(NativeFile.Folder, names))
            File.CreateSymbolicLink(Path.Combine(target.FullName, Path.GetFileName(file)), file);
    }

    string[] Run(string device)
    {
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [
                "exec", "--additionalprobingpath", folder.FullName,
                Path.Combine(folder.FullName, $"{Program}.dll"), device,
            ])
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, output);
        return output.Trim().Split('\n');
    }
}
