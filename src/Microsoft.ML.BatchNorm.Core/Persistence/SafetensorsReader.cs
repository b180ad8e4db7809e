using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Reads a safetensors file forward, to its last byte and not further. It does not trust the lengths that a file
/// claims: memory grows with the bytes that have arrived.
/// </summary>
sealed class SafetensorsReader
{
    const int FirstPiece = 16 * 1024;

    readonly Stream stream;
    Crc32C checksum = new();

    // The part being read, its length, and how much of it has arrived; for messages.
    string part = "";
    long length, done;
    bool hasBytes;
    byte[]? skipped;

    /// <summary>Reads the header.</summary>
    /// <param name="stream">Read from its current position.</param>
    /// <param name="rename">Gives each tensor another name; null if it keeps that in the file.</param>
    public SafetensorsReader(Stream stream, Func<string, string>? rename = null)
    {
        this.stream = stream;
        Span<byte> first = stackalloc byte[sizeof(ulong)];
        Enter("the header's length", first.Length);
        Fill(first);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(first);
        if (headerLength > SafetensorsHeader.MaxLength)
            throw OtherFile.Error(
                first,
                $"The header claims {headerLength} bytes; a safetensors header has at most "
                + $"{SafetensorsHeader.MaxLength}.");
        Enter("its header", (long)headerLength);
        byte[] brace = ReadArray<byte>((int)Math.Min(headerLength, 1));
        if (brace is not [(byte)'{'])
            throw OtherFile.Error(first, "The header does not begin with {, as a safetensors header does.");
        byte[] json = ReadArray<byte>((int)headerLength, brace);
        Header = SafetensorsHeader.Parse(json);
        if (rename is not null)
            Header = Header.Renamed(rename);

        // The header now has zeros as the checksum's digits, as it had when the writer computed the checksum.
        checksum = new Crc32C();
        checksum.Append(first);
        checksum.Append(json);
    }

    public SafetensorsHeader Header { get; }

    /// <summary>The definition, if the file is of the given kind.</summary>
    /// <exception cref="InvalidDataException">The file is of another kind; the message says which.</exception>
    public string DefinitionOf(string kind) =>
        Header.Kind == kind ? Header.Definition! : throw OtherFile.Error(kind, Header.Kind);

    /// <summary>Reads the data after the header, and compares the checksum.</summary>
    /// <param name="isWanted">
    /// Whether a tensor is wanted, by its name. A tensor that is wanted has a known dtype and fits into an array.
    /// </param>
    /// <param name="toEnd">Whether the stream must end where the file does.</param>
    public SafetensorsValues Read(Func<string, bool> isWanted, bool toEnd)
    {
        var values = new Dictionary<string, Array>(StringComparer.Ordinal);
        foreach (SafetensorsEntry tensor in Header.Tensors)
        {
            Enter(SafetensorsEntry.Quote(tensor.NameInFile), tensor.Bytes, "tensor ");
            if (isWanted(tensor.Name))
                values.Add(tensor.Name, ReadValues(tensor));
            else
                Skip(tensor.Bytes);
        }
        if (toEnd && stream.ReadByte() >= 0)
            throw new InvalidDataException("The file goes on after the data of its last tensor.");
        string computed = SafetensorsWriter.Digits(checksum.Value);
        return Header.Checksum is null || Header.Checksum == computed
            ? new SafetensorsValues(values)
            : throw new InvalidDataException(
                $"The checksum does not match: {Header.Checksum} is stored, {computed} follows from the data.");
    }

    Array ReadValues(in SafetensorsEntry tensor)
    {
        int count = (int)(tensor.Bytes / SafetensorsEntry.SizeOf(tensor.Dtype));
        return tensor.Dtype switch
        {
            "F64" => ReadArray<double>(count),
            "F32" => ReadArray<float>(count),
            "F16" => Array.ConvertAll(ReadArray<Half>(count), value => (float)value),
            "BF16" => Array.ConvertAll(ReadArray<ushort>(count), FromBFloat16),
            "I64" => ReadArray<long>(count),
            "I32" => Array.ConvertAll(ReadArray<int>(count), value => (long)value),
            "I16" => Array.ConvertAll(ReadArray<short>(count), value => (long)value),
            "I8" => Array.ConvertAll(ReadArray<sbyte>(count), value => (long)value),
            // Doubles if a long cannot hold a value, which then is not accepted as a count.
            "U64" => ReadArray<ulong>(count) is var values && Array.TrueForAll(values, value => value <= long.MaxValue)
                ? Array.ConvertAll(values, value => (long)value)
                : Array.ConvertAll(values, value => (double)value),
            "U32" => Array.ConvertAll(ReadArray<uint>(count), value => (long)value),
            "U16" => Array.ConvertAll(ReadArray<ushort>(count), value => (long)value),
            _ => ReadArray<byte>(count),
        };
    }

    static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Says what the next bytes are, for the message if they are missing.</summary>
    void Enter(string name, long bytes, string what = "") => (part, length, done) = (what + name, bytes, 0);

    void Fill(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int read = stream.Read(destination);
            if (read <= 0)
                throw Truncated();
            checksum.Append(destination[..read]);
            done += read;
            hasBytes = true;
            destination = destination[read..];
        }
    }

    /// <param name="count">How many values there are.</param>
    /// <param name="begun">The first values, if they have been read already.</param>
    T[] ReadArray<T>(int count, ReadOnlySpan<T> begun = default) where T : unmanaged
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

    void Skip(long bytes)
    {
        skipped ??= new byte[FirstPiece];
        for (int piece; bytes > 0; bytes -= piece)
        {
            piece = (int)Math.Min(bytes, skipped.Length);
            Fill(skipped.AsSpan(0, piece));
        }
    }

    InvalidDataException Truncated() => new(
        hasBytes
            ? $"The file is truncated: {done} of {length} bytes of {part} are there."
            : "The file is empty, or truncated before its first byte.");
}

/// <summary>
/// The values of the tensors that were wanted, in the narrowest type that holds them exactly.
/// </summary>
sealed class SafetensorsValues(Dictionary<string, Array> tensors)
{
    public IEnumerable<KeyValuePair<string, Array>> All => tensors;

    public bool Has(string name) => tensors.ContainsKey(name);

    public void Add(string name, Array values) => tensors.Add(name, values);

    public void Add(SafetensorsValues other)
    {
        foreach ((string name, Array values) in other.All)
            Add(name, values);
    }

    public float[] Floats(string name) => tensors[name] switch
    {
        float[] values => values,
        var values => Array.ConvertAll((double[])values, value => (float)value),
    };

    public double[] Doubles(string name) => tensors[name] switch
    {
        double[] values => values,
        var values => Array.ConvertAll((float[])values, value => (double)value),
    };

    public byte[] Bytes(string name) => (byte[])tensors[name];

    /// <summary>A count, whatever type it is stored in.</summary>
    /// <exception cref="InvalidDataException">It is not a whole number in range.</exception>
    public long Count(string name)
    {
        switch (tensors[name])
        {
            case long[] values:
                return values[0];
            case byte[] values:
                return values[0];
            case var values:
                double value = values is float[] floats ? floats[0] : ((double[])values)[0];
                return double.IsInteger(value) && value is >= 0 and < long.MaxValue
                    ? (long)value
                    : throw new InvalidDataException(string.Create(
                        CultureInfo.InvariantCulture,
                        $"Tensor {SafetensorsEntry.Quote(name)} is {value}; it must be a whole number from 0 to "
                        + $"2⁶³ − 1."));
        }
    }
}
