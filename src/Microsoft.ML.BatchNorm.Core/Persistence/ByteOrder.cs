using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Both formats are little-endian; machines that are not swap each value.</summary>
static class ByteOrder
{
    /// <summary>The number of values whose bytes are handled at once: a span of bytes ends at 2 GiB.</summary>
    public const int Piece = 1 << 20;

    public static void Swap<T>(Span<T> values) where T : unmanaged
    {
        foreach (ref T value in values)
            MemoryMarshal.AsBytes(new Span<T>(ref value)).Reverse();
    }
}
