using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Writes values little-endian, with a checksum of what was written.</summary>
sealed class ByteSink(Stream stream)
{
    public Crc32C Checksum = new();

    public void Write(ReadOnlySpan<byte> bytes)
    {
        Checksum.Append(bytes);
        stream.Write(bytes);
    }

    public void Write<T>(T value) where T : unmanaged => WriteArray(new ReadOnlySpan<T>(in value));

    public void WriteArray<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        while (!values.IsEmpty)
        {
            ReadOnlySpan<T> piece = values[..Math.Min(values.Length, ByteOrder.Piece)];
            values = values[piece.Length..];
            if (!BitConverter.IsLittleEndian)
            {
                T[] swapped = piece.ToArray();
                ByteOrder.Swap<T>(swapped);
                piece = swapped;
            }
            Write(MemoryMarshal.AsBytes(piece));
        }
    }
}
