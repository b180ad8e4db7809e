using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// Looks for libtorch and TorchSharp's native part before TorchSharp does, whose own error is that of a type
/// initializer, and which writes to the console. In a notebook or a script, where they lie in package folders, it is
/// TorchSharp that finds them.
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

    /// <summary>
    /// Loads a library that the other depends on, where it is a file of its own, then CUDA, where it is there, and then
    /// the other: libtorch counts devices once, at its first backward pass, also where that is on the CPU.
    /// </summary>
    static bool LoadBehind(string dependency, string name)
    {
        Load(dependency);
        _ = hasCuda.Value;
        return Load(name);
    }

    /// <summary>Whether TorchSharp finds a device's libraries in the package folder that it lies in itself.</summary>
    static bool FindInPackages(DeviceType device)
    {
        string? library = Path.GetDirectoryName(typeof(torch).Assembly.Location);
        string? package = Path.GetDirectoryName(Path.GetDirectoryName(Path.GetDirectoryName(library)));
        if (!string.Equals(Path.GetFileName(package), "torchsharp", StringComparison.OrdinalIgnoreCase))
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

    static bool Load(string name) => NativeLibrary.TryLoad(name, typeof(torch).Assembly, null, out _);
}
