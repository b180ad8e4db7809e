using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>CRC-32C (Castagnoli; RFC 3720, appendix B.4) of bytes that arrive in pieces.</summary>
struct Crc32C()
{
    uint register = uint.MaxValue;

    public readonly uint Value => ~register;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        uint crc = register;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        register = crc;
    }
}

/// <summary>
/// Converts values to and from little-endian bytes, as files have them: a big-endian machine swaps each value.
/// </summary>
static class ByteOrder
{
    /// <summary>The most values to convert at once. A span of bytes cannot be longer than 2 GiB.</summary>
    public const int Piece = 1 << 20;

    public static void Swap<T>(Span<T> values) where T : unmanaged
    {
        foreach (ref T value in values)
            MemoryMarshal.AsBytes(new Span<T>(ref value)).Reverse();
    }

    /// <summary>Gives the little-endian bytes of all values, one piece after the other.</summary>
    public static void ForEachPiece<T>(ReadOnlySpan<T> values, Action<ReadOnlySpan<byte>> take) where T : unmanaged
    {
        while (!values.IsEmpty)
        {
            ReadOnlySpan<T> piece = values[..Math.Min(values.Length, Piece)];
            values = values[piece.Length..];
            if (!BitConverter.IsLittleEndian)
            {
                T[] swapped = piece.ToArray();
                Swap<T>(swapped);
                piece = swapped;
            }
            take(MemoryMarshal.AsBytes(piece));
        }
    }
}
