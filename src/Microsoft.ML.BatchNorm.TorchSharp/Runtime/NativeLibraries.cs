using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>
/// Loads libtorch and TorchSharp's own library before TorchSharp does, whose error is that of a type initializer, and
/// which writes to the console. The libtorch for CUDA that lies in package folders is left to TorchSharp.
/// </summary>
static class NativeLibraries
{
    static readonly Lazy<LoadFault?> cuda = new(() => NativeLoader.Load("torch_cuda"));
    static readonly Lazy<string?> fault = new(Load);
    static readonly Lazy<bool> hasCudaInPackages = new(() => IsInPackages(DeviceType.CUDA));

    static string CudaPackage => OperatingSystem.IsWindows() ? "TorchSharp-cuda-windows" : "TorchSharp-cuda-linux";

    /// <exception cref="InvalidOperationException">They cannot be loaded; the message says why.</exception>
    public static void Need()
    {
        if (fault.Value is { } message)
            throw new InvalidOperationException(message);
    }

    /// <exception cref="InvalidOperationException">They cannot be loaded, or have no CUDA.</exception>
    public static void NeedCuda()
    {
        // Of package folders TorchSharp can take one alone, and would take that of the CPU.
        if (cuda.Value is not null && !NativeLoader.IsFoundByRuntime("torch_cpu") && hasCudaInPackages.Value)
            return;
        Need();
        if (cuda.Value is { } missing)
            throw new InvalidOperationException(
                missing.File is null
                    ? $"libtorch has no CUDA. Add {CudaPackage} to the application instead of TorchSharp-cpu."
                    : $"libtorch's part for CUDA cannot be loaded: {missing.Reason}.");
    }

    /// <summary>Loads what the CPU needs, and CUDA if it is there.</summary>
    /// <returns>Null if it is loaded, else an error's message.</returns>
    static string? Load()
    {
        LoadFault? libtorch = NativeLoader.Load("torch_cpu");
        // libtorch counts devices once, at its first backward pass, even if that is on the CPU.
        _ = cuda.Value;
        NativeLoader.Load("torch");
        LoadFault? own = NativeLoader.Load("LibTorchSharp");
        own = own is null ? null : OlderLibstdcxx.Load(own);
        if (own is null || libtorch is { File: null } && IsInPackages(DeviceType.CPU))
            return null;
        return NativeFault.Explain(libtorch, own, CudaPackage);
    }

    /// <summary>Whether TorchSharp finds a device's libraries in the package folders that it lies in itself.</summary>
    static bool IsInPackages(DeviceType device)
    {
        if (NativeLoader.Packages is not { } packages
            || device == DeviceType.CUDA && !Directory.EnumerateDirectories(packages, "libtorch-cuda-*").Any())
            return false;
        try
        {
            torch.TryInitializeDeviceType(device);
            return device == DeviceType.CPU || NativeLoader.IsFoundByRuntime("torch_cuda");
        }
        catch (Exception error) when (error is NotSupportedException or TypeInitializationException)
        {
            return false;
        }
    }
}
