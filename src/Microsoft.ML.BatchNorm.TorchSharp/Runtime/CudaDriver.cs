using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.TorchSharp.Runtime;

/// <summary>What the driver itself says of CUDA, for an error that tells what is missing.</summary>
static class CudaDriver
{
    static string LibraryName => OperatingSystem.IsWindows() ? "nvcuda" : "libcuda.so.1";

    /// <summary>Why libtorch finds no device, as far as the driver knows.</summary>
    public static string Fault()
    {
        if (!NativeLibrary.TryLoad(LibraryName, out nint library))
            return "this machine has no NVIDIA driver";
        try
        {
            if (Version(library) is not { } version)
                return "the NVIDIA driver does not answer";
            return $"the NVIDIA driver supports CUDA up to {version / 1000}.{version % 1000 / 10}, and shows no " +
                "device that libtorch can use: either there is none, or the driver is too old for libtorch's CUDA";
        }
        finally
        {
            NativeLibrary.Free(library);
        }
    }

    static unsafe int? Version(nint library)
    {
        int version;
        return NativeLibrary.TryGetExport(library, "cuDriverGetVersion", out nint entry)
            && ((delegate* unmanaged<int*, int>)entry)(&version) == 0
            ? version
            : null;
    }
}
