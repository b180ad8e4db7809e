using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// Looks for libtorch and TorchSharp's native part before TorchSharp does, whose own error is that of a type
/// initializer.
/// </summary>
static class NativeLibraries
{
    static readonly Lazy<bool> hasCuda = new(() => Load("torch_cuda"));
    static readonly Lazy<bool> hasCpu = new(() => LoadBehind("torch_cpu", "LibTorchSharp"));

    static string CudaPackage => OperatingSystem.IsWindows() ? "TorchSharp-cuda-windows" : "TorchSharp-cuda-linux";

    /// <exception cref="InvalidOperationException">They are not beside the application.</exception>
    public static void Need()
    {
        if (!hasCpu.Value)
            throw new InvalidOperationException(
                "The native libraries of TorchSharp are not beside the application. Add one of its packages to the " +
                $"application, of TorchSharp's own version: TorchSharp-cpu, or {CudaPackage} for a GPU.");
    }

    /// <exception cref="InvalidOperationException">libtorch is there without CUDA.</exception>
    public static void NeedCuda()
    {
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

    static bool Load(string name) => NativeLibrary.TryLoad(name, typeof(torch).Assembly, null, out _);
}
