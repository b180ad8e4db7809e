using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>What the driver itself says of CUDA, for an error that tells what is missing.</summary>
static class CudaDriver
{
    const int Success = 0, NoDevice = 100;

    static string LibraryName => OperatingSystem.IsWindows() ? "nvcuda" : "libcuda.so.1";

    /// <summary>Why libtorch finds no device, as far as the driver knows.</summary>
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

    /// <summary>What a function of the driver gives that writes one number, or null where it fails.</summary>
    static unsafe int? Number(nint library, string name)
    {
        int number;
        return NativeLibrary.TryGetExport(library, name, out nint entry)
            && ((delegate* unmanaged<int*, int>)entry)(&number) == Success
            ? number
            : null;
    }
}
