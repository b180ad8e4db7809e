using System.Diagnostics;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Runtime;

/// <summary>An application whose native libraries cannot be loaded is told what is wrong with them.</summary>
[TestClass]
public class MissingNativeTests
{
    const string Program = "FreshProcess.TorchSharp";

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("native-");

    /// <summary>The managed assemblies alone: no native library, and no list of where one might be.</summary>
    [TestInitialize]
    public void Lay()
    {
        foreach (string file in Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll"))
            File.Copy(file, PathOf(Path.GetFileName(file)));
        File.Copy(
            Path.Combine(AppContext.BaseDirectory, $"{Program}.runtimeconfig.json"),
            PathOf($"{Program}.runtimeconfig.json"));
    }

    [TestCleanup]
    public void Delete() => folder.Delete(recursive: true);

    [TestMethod]
    [DataRow("cpu")]
    [DataRow("cuda")]
    public void Without_native_libraries_the_error_names_the_packages_and_nothing_else_is_written(string device)
    {
        string output = Run(device);
        StringAssert.StartsWith(output, "InvalidOperationException: libtorch is missing.");
        StringAssert.Contains(output, "TorchSharp-cpu");
        StringAssert.Contains(output, "TorchSharp-cuda-");
        Assert.AreEqual(1, output.Split('\n').Length, output);
    }

    [TestMethod]
    [DataRow("cpu")]
    [DataRow("cuda")]
    public void Without_libtorch_the_error_is_the_same_although_TorchSharp_s_own_library_is_present(string device)
    {
        Link("libLibTorchSharp.so");
        StringAssert.StartsWith(Run(device), "InvalidOperationException: libtorch is missing.");
    }

    [TestMethod]
    public void Without_TorchSharp_s_own_library_the_error_names_it()
    {
        LinkLibtorch();
        string output = Run("cpu");
        StringAssert.StartsWith(output, "InvalidOperationException: libLibTorchSharp.so is missing.");
        StringAssert.Contains(output, "the package TorchSharp");
    }

    [TestMethod]
    [DataRow("cpu")]
    [DataRow("cuda")]
    public void The_error_names_a_missing_library_that_libtorch_needs(string device)
    {
        LinkLibtorch();
        Link("libLibTorchSharp.so");
        string needed = Path.GetFileName(Directory.GetFiles(folder.FullName, "libgomp-*").Single());
        File.Delete(PathOf(needed));
        string output = Run(device);
        StringAssert.StartsWith(output, $"InvalidOperationException: libtorch cannot be loaded: {needed}: ");
        Assert.IsFalse(output.Contains("TorchSharp-cpu", StringComparison.Ordinal), output);
    }

    [TestMethod]
    public void The_error_says_that_libtorch_has_another_version()
    {
        // A library that has none of the functions, by the names of those that should have them.
        Link("libc10.so");
        foreach (string name in (string[])["libtorch.so", "libtorch_cpu.so"])
            File.CreateSymbolicLink(PathOf(name), Path.Combine(NativeFile.Folder, "libc10.so"));
        Link("libLibTorchSharp.so");
        string output = Run("cpu");
        StringAssert.StartsWith(
            output, $"InvalidOperationException: libtorch is not the one that TorchSharp {Version} is built for, 2.");
        StringAssert.Contains(output, "undefined symbol");
        StringAssert.Contains(output, "TorchSharp-cpu");
    }

    [TestMethod]
    [DataRow("cpu")]
    [DataRow("cuda")]
    public void The_error_says_that_the_system_is_too_old(string device)
    {
        LinkLibtorch();
        byte[] library = NativeFile.Read();
        NativeFile.Lose(library, "GLIBCXX_3.4.30");
        File.WriteAllBytes(PathOf("libLibTorchSharp.so"), library);
        string output = Run(device);
        StringAssert.StartsWith(output, "InvalidOperationException: This system is older than the one that ");
        StringAssert.Contains(output, "version `GLIBCXX_3.4.30' not found");
        StringAssert.Contains(output, "Debian 13");
    }

    [TestMethod]
    public void A_system_that_lacks_the_marker_alone_is_not_too_old()
    {
        LinkLibtorch();
        byte[] library = NativeFile.Read();
        NativeFile.Lose(library, "GLIBCXX_3.4.32");
        File.WriteAllBytes(PathOf("libLibTorchSharp.so"), library);
        Assert.AreEqual("cpu", Run("cpu"));
    }

    [TestMethod]
    public void The_error_names_a_damaged_file()
    {
        LinkLibtorch();
        File.WriteAllBytes(PathOf("libLibTorchSharp.so"), NativeFile.Read().AsSpan(0, 32));
        string output = Run("cpu");
        StringAssert.StartsWith(
            output,
            "InvalidOperationException: TorchSharp's native library cannot be loaded: " +
            PathOf("libLibTorchSharp.so") + ": file too short");
    }

    [TestMethod]
    public void The_error_names_a_part_for_CUDA_that_cannot_be_loaded()
    {
        LinkLibtorch();
        Link("libLibTorchSharp.so");
        File.Delete(PathOf("libtorch_cuda.so"));
        File.WriteAllText(PathOf("libtorch_cuda.so"), "no library");
        string output = Run("cuda");
        StringAssert.StartsWith(
            output,
            "InvalidOperationException: libtorch's part for CUDA cannot be loaded: " + PathOf("libtorch_cuda.so"));
    }

    [TestMethod]
    public void The_error_says_that_libtorch_for_the_CPU_has_no_CUDA()
    {
        LinkLibtorch();
        Link("libLibTorchSharp.so");
        if (File.Exists(PathOf("libtorch_cuda.so")))
            Assert.Inconclusive("This libtorch has CUDA.");
        string output = Run("cuda");
        StringAssert.StartsWith(output, "InvalidOperationException: libtorch has no CUDA.");
        StringAssert.Contains(output, "TorchSharp-cuda-linux");
    }

    static string Version => typeof(torch).Assembly.GetName().Version!.ToString(3);

    string PathOf(string name) => Path.Combine(folder.FullName, name);

    void LinkLibtorch() => Array.ForEach(["libc10*.so", "libtorch*.so", "libgomp-*"], Link);

    void Link(string names)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Inconclusive("Tried with the libraries and the loader of Linux.");
        foreach (string file in Directory.GetFiles(NativeFile.Folder, names))
            File.CreateSymbolicLink(PathOf(Path.GetFileName(file)), file);
    }

    string Run(string device)
    {
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", PathOf($"{Program}.dll"), device])
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, output);
        return output.Trim();
    }
}
