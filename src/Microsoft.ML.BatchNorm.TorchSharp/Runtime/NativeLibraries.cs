using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// Looks for libtorch and TorchSharp's native part before TorchSharp does, whose own error is that of a type
/// initializer, and which writes to the console. In a notebook or a script, where they lie in package folders, CUDA's
/// are found by TorchSharp.
/// </summary>
static class NativeLibraries
{
    static readonly Lazy<bool> hasCuda = new(() => Load("torch_cuda"));
    static readonly Lazy<bool> hasCpu = new(() => LoadBehind("torch_cpu", "LibTorchSharp"));
    static readonly Lazy<bool> hasCudaInPackages = new(() => FindInPackages(DeviceType.CUDA));
    static readonly Lazy<bool> hasCpuInPackages = new(() => FindInPackages(DeviceType.CPU));

    static string CudaPackage => OperatingSystem.IsWindows() ? "TorchSharp-cuda-windows" : "TorchSharp-cuda-linux";

    /// <exception cref="InvalidOperationException">They are not beside the application.</exception>
    public static void Need()
    {
        if (!hasCpu.Value && !hasCpuInPackages.Value)
            throw new InvalidOperationException(
                "The native libraries of TorchSharp are not beside the application. Add one of its packages to the " +
                $"application, of TorchSharp's own version: TorchSharp-cpu, or {CudaPackage} for a GPU.");
    }

    /// <exception cref="InvalidOperationException">They are not there, or libtorch is without CUDA.</exception>
    public static void NeedCuda()
    {
        // Of package folders TorchSharp can take one alone, and would take that of the CPU.
        if (!hasCuda.Value && !hasCpu.Value && hasCudaInPackages.Value)
            return;
        Need();
        if (!hasCuda.Value)
            throw new InvalidOperationException(
                $"libtorch beside the application has no CUDA. Add {CudaPackage} to the application, instead of " +
                "TorchSharp-cpu.");
    }

    /// <summary>Why the loader refuses a library, in its own words; null if it does not.</summary>
    public static string? Fault(Func<nint> load)
    {
        try
        {
            load();
            return null;
        }
        catch (DllNotFoundException error)
        {
            return error.Message;
        }
    }

    /// <summary>
    /// Loads a library that the other depends on, where it is a file of its own, then CUDA, where it is there, and then
    /// the other: libtorch counts devices once, at its first backward pass, also where that is on the CPU.
    /// </summary>
    static bool LoadBehind(string dependency, string name)
    {
        Load(dependency);
        _ = hasCuda.Value;
        Load("torch");
        string? fault = Fault(() => NativeLibrary.Load(name, typeof(torch).Assembly, null));
        return fault is null || OlderLibstdcxx.Load(fault) is null;
    }

    /// <summary>Whether a device's libraries are in package folders, as TorchSharp itself is.</summary>
    static bool FindInPackages(DeviceType device)
    {
        string? library = Path.GetDirectoryName(typeof(torch).Assembly.Location);
        string? package = Path.GetDirectoryName(Path.GetDirectoryName(library));
        string? folder = Path.GetDirectoryName(package);
        if (!string.Equals(Path.GetFileName(folder), "torchsharp", StringComparison.OrdinalIgnoreCase))
            return false;
        string packages = Path.GetDirectoryName(folder)!;
        if (device == DeviceType.CPU)
            LoadFromPackages(packages, package!);
        else if (!Directory.EnumerateDirectories(packages, "libtorch-cuda-*").Any())
            return false;
        try
        {
            torch.TryInitializeDeviceType(device);
            return device == DeviceType.CPU || Load("torch_cuda");
        }
        catch (Exception error) when (error is NotSupportedException or TypeInitializationException)
        {
            return false;
        }
    }

    /// <summary>
    /// Loads libtorch and TorchSharp's library from where NuGet has put them. TorchSharp would copy them into one
    /// folder, and a first load that fails is its last. Only on Linux need they not lie beside each other.
    /// </summary>
    static void LoadFromPackages(string packages, string torchSharp)
    {
        if (!OperatingSystem.IsLinux() || LibtorchVersion is not { } version)
            return;
        string natives = Path.Combine("runtimes", "linux-x64", "native");
        string libtorch = Path.Combine(packages, "libtorch-cpu-linux-x64", version, natives, "libtorch.so");
        if (NativeLibrary.TryLoad(libtorch, out _)
            && Fault(() => NativeLibrary.Load(Path.Combine(torchSharp, natives, "libLibTorchSharp.so"))) is { } fault)
            OlderLibstdcxx.Load(fault);
    }

    /// <summary>
    /// The package version of libtorch that TorchSharp is built for. <see cref="torch.__version__"/> has it too, and
    /// would have TorchSharp load the library.
    /// </summary>
    static string? LibtorchVersion =>
        typeof(torch).GetField("libtorchPackageVersion", BindingFlags.NonPublic | BindingFlags.Static)
            ?.GetRawConstantValue() is string text && Version.TryParse(text, out Version? version)
            ? version.ToString(version.Revision > 0 ? 4 : 3)
            : null;

    static bool Load(string name) => NativeLibrary.TryLoad(name, typeof(torch).Assembly, null, out _);
}
