using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Tests.Kernels;

/// <summary>Floats that end where the process has no memory: a read behind the last one ends the run.</summary>
sealed unsafe partial class GuardedFloats : IDisposable
{
    const int None = 0, ReadWrite = 3, PrivateAnonymous = 0x22;
    readonly nint size;
    readonly byte* memory;

    public GuardedFloats(int length)
    {
        nint page = Environment.SystemPageSize, bytes = (nint)length * sizeof(float);
        size = (bytes + page - 1) / page * page + page;
        memory = Map(null, size, ReadWrite, PrivateAnonymous, -1, 0);
        if (memory == (byte*)-1 || Protect(memory + size - page, page, None) != 0)
            throw new InvalidOperationException($"mmap or mprotect failed: {Marshal.GetLastPInvokeErrorMessage()}");
        Start = (float*)(memory + size - page - bytes);
    }

    /// <summary>Whether this process can make such memory, by the calls and numbers of Linux.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux();

    public float* Start { get; }

    public void Dispose() => Unmap(memory, size);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial byte* Map(void* address, nint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(void* address, nint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nint length);
}
