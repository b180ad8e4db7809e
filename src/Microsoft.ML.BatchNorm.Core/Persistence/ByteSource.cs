using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// Reads a stream forward, exactly as far as asked, with a checksum of what was read. Claimed lengths are not
/// believed: memory grows with the bytes that have arrived.
/// </summary>
/// <param name="stream">Read from where it stands.</param>
/// <param name="what">What it is, for messages.</param>
/// <param name="isFile">Whether it is a file to its end, so that one without a byte is empty.</param>
sealed class ByteSource(Stream stream, string what, bool isFile = false)
{
    const int FirstPiece = 16 * 1024;

    string section = "";
    string? tensor;
    long length, done;
    bool hasBytes;
    byte[]? skipped;

    public Crc32C Checksum = new();

    /// <summary>What the next <paramref name="bytes"/> bytes are, for the message when they are not there.</summary>
    public void Enter(string name, long bytes) => (section, tensor, length, done) = (name, null, bytes, 0);

    public void Enter(in SafetensorsEntry entry) => (tensor, length, done) = (entry.Name, entry.Bytes, 0);

    public void Fill(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int read = stream.Read(destination);
            if (read <= 0)
                throw Truncated();
            Checksum.Append(destination[..read]);
            done += read;
            hasBytes = true;
            destination = destination[read..];
        }
    }

    public T Read<T>() where T : unmanaged
    {
        T value = default;
        var values = new Span<T>(ref value);
        Fill(MemoryMarshal.AsBytes(values));
        if (!BitConverter.IsLittleEndian)
            ByteOrder.Swap(values);
        return value;
    }

    /// <param name="count">How many values there are.</param>
    /// <param name="begun">The first of them, where these have been read.</param>
    public T[] ReadArray<T>(int count, ReadOnlySpan<T> begun = default) where T : unmanaged
    {
        var values = new T[Math.Min(count, FirstPiece / Unsafe.SizeOf<T>())];
        begun.CopyTo(values);
        for (int filled = begun.Length; filled < count;)
        {
            if (filled == values.Length)
                Array.Resize(ref values, (int)Math.Min(count, 2L * filled));
            int piece = Math.Min(values.Length - filled, ByteOrder.Piece);
            Fill(MemoryMarshal.AsBytes(values.AsSpan(filled, piece)));
            filled += piece;
        }
        if (!BitConverter.IsLittleEndian)
            ByteOrder.Swap<T>(values);
        return values;
    }

    public void Skip(long bytes)
    {
        skipped ??= new byte[FirstPiece];
        for (int piece; bytes > 0; bytes -= piece)
        {
            piece = (int)Math.Min(bytes, skipped.Length);
            Fill(skipped.AsSpan(0, piece));
        }
    }

    /// <summary>Reads the checksum that follows, and compares it with that of all before it.</summary>
    public void CheckChecksum()
    {
        uint computed = Checksum.Value;
        Enter("its checksum", sizeof(uint));
        uint stored = Read<uint>();
        if (stored != computed)
            throw new InvalidDataException(
                $"The checksum does not match: {stored:x8} is stored, {computed:x8} follows from the data.");
    }

    /// <summary>Whether the stream ends here; reads one byte more to find out.</summary>
    public bool AtEnd()
    {
        Span<byte> next = stackalloc byte[1];
        return stream.Read(next) <= 0;
    }

    InvalidDataException Truncated()
    {
        if (isFile && !hasBytes)
            return new InvalidDataException($"{what} is empty, or truncated before its first byte.");
        string missing = tensor is null ? section : $"tensor {SafetensorsEntry.Quote(tensor)}";
        return new InvalidDataException($"{what} is truncated: {done} of {length} bytes of {missing} are there.");
    }
}
