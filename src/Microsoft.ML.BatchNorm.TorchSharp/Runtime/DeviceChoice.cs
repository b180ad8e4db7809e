using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>Finds a device by its name in PyTorch.</summary>
static class DeviceChoice
{
    /// <param name="name"><c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>.</param>
    /// <exception cref="ArgumentException">The name has another form.</exception>
    /// <exception cref="InvalidOperationException">
    /// The device is not available. The message says what is missing.
    /// </exception>
    public static torch.Device Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        int? cuda = CudaIndex(name);
        if (cuda is not { } index)
        {
            NativeLibraries.Require();
            return torch.CPU;
        }
        NativeLibraries.RequireCuda();
        if (!HasCuda())
            throw new InvalidOperationException($"The device '{name}' is not available: {CudaDriver.Fault()}.");
        int devices = torch.cuda.device_count();
        if (index >= devices)
            throw new InvalidOperationException(
                $"The device '{name}' is not available: the last one is 'cuda:{devices - 1}'.");
        var device = new torch.Device(DeviceType.CUDA, index);
        Try(name, device);
        return device;
    }

    /// <summary>
    /// Checks that the device can compute, since libtorch also counts devices for which it has no code and devices that
    /// other processes hold.
    /// </summary>
    static void Try(string name, torch.Device device)
    {
        using var scope = torch.NewDisposeScope();
        try
        {
            torch.ones([1], ScalarType.Float32, device).neg().cpu();
        }
        catch (ExternalException error)
        {
            throw new InvalidOperationException(
                $"The device '{name}' is not available: {error.Message.Split('\n')[0].Trim()}", error);
        }
    }

    static bool HasCuda()
    {
        try
        {
            return torch.TryInitializeDeviceType(DeviceType.CUDA);
        }
        catch (NotSupportedException error)
        {
            throw new InvalidOperationException($"libtorch's CUDA libraries cannot be loaded: {error.Message}", error);
        }
    }

    /// <summary>The index of the CUDA device; null for the CPU.</summary>
    static int? CudaIndex(string name) => name switch
    {
        "cpu" => null,
        "cuda" => 0,
        _ when name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), out int index)
            && index >= 0
            => index,
        _ => throw new ArgumentException($"'{name}' is not a device; use 'cpu', 'cuda' or 'cuda:1'.", nameof(name)),
    };
}

/// <summary>Asks NVIDIA's driver why libtorch finds no device.</summary>
static class CudaDriver
{
    const int Success = 0, NoDevice = 100;

    static string LibraryName => OperatingSystem.IsWindows() ? "nvcuda" : "libcuda.so.1";

    /// <summary>The reason, as a part of an error message.</summary>
    public static string Fault()
    {
        if (!NativeLibrary.TryLoad(LibraryName, out nint library))
            return "this machine has no NVIDIA driver";
        try
        {
            return Fault(library);
        }
        finally
        {
            NativeLibrary.Free(library);
        }
    }

    static unsafe string Fault(nint library)
    {
        if (!NativeLibrary.TryGetExport(library, "cuInit", out nint start)
            || Number(library, "cuDriverGetVersion") is not { } version)
            return "the NVIDIA driver does not answer";
        int error = ((delegate* unmanaged<uint, int>)start)(0);
        if (error is not (Success or NoDevice))
            return $"the NVIDIA driver cannot start (CUDA error {error})";
        if (error == NoDevice || Number(library, "cuDeviceGetCount") is not > 0)
            return "the NVIDIA driver shows no device";
        return "the NVIDIA driver shows a device that libtorch cannot use: the driver, which supports CUDA up to " +
            $"{version / 1000}.{version % 1000 / 10}, is too old for libtorch's CUDA";
    }

    /// <summary>Calls a function of the driver that writes one number; null if it fails.</summary>
    static unsafe int? Number(nint library, string name)
    {
        int number;
        return NativeLibrary.TryGetExport(library, name, out nint entry)
            && ((delegate* unmanaged<int*, int>)entry)(&number) == Success
            ? number
            : null;
    }
}
