using System.Buffers.Binary;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>A checked safetensors header: tensors in the order of their data, which leaves no gap.</summary>
sealed class SafetensorsHeader
{
    public const int MaxLength = 100_000_000;
    public const string Metadata = "__metadata__";
    public const string WriterKey = "batchnorm.writer", ChecksumKey = "batchnorm.crc32c";
    public const string Writer = "Microsoft.ML.BatchNorm 1";
    public const string NoChecksum = "00000000";

    SafetensorsHeader(
        List<SafetensorsEntry> tensors, string? checksum, IReadOnlyDictionary<string, string> populations) =>
        (Tensors, Checksum, Populations) = (tensors, checksum, populations);

    public List<SafetensorsEntry> Tensors { get; }

    /// <summary>The checksum in hexadecimal that the file claims, null in a file by another writer.</summary>
    public string? Checksum { get; }

    /// <summary>
    /// The populations by their names; none in a file without a checksum, whose tensors may have changed since.
    /// </summary>
    public IReadOnlyDictionary<string, string> Populations { get; }

    /// <summary>
    /// Reads length and header. The source's checksum is afterwards that of both, with the digits of the claimed one
    /// as zeros: what the writer took it over.
    /// </summary>
    public static SafetensorsHeader Read(ByteSource source)
    {
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        source.Enter("the header's length", prefix.Length);
        source.Fill(prefix);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxLength)
            throw new InvalidDataException(
                $"the header claims {length} bytes; a safetensors header has at most {MaxLength}.");
        source.Enter("its header", (long)length);
        byte[] json = source.ReadArray<byte>((int)length);
        var parsed = SafetensorsJson.Parse(json);
        CheckNames(parsed.Tensors);
        CheckOffsets(parsed.Tensors);

        if (parsed.ChecksumDigits is { } digits)
            json.AsSpan(digits, NoChecksum.Length).Fill((byte)'0');
        source.Checksum = new Crc32C();
        source.Checksum.Append(prefix);
        source.Checksum.Append(json);
        if (parsed.Checksum is null)
            parsed.Populations.Clear();
        return new SafetensorsHeader(parsed.Tensors, parsed.Checksum, parsed.Populations);
    }

    static void CheckNames(List<SafetensorsEntry> tensors)
    {
        tensors.Sort((left, right) => string.CompareOrdinal(left.Name, right.Name));
        for (int i = 1; i < tensors.Count; i++)
        {
            if (tensors[i].Name == tensors[i - 1].Name)
                throw new InvalidDataException(
                    $"the header has tensor {SafetensorsEntry.Quote(tensors[i].Name)} twice.");
        }
    }

    static void CheckOffsets(List<SafetensorsEntry> tensors)
    {
        tensors.Sort((left, right) => (left.Begin, left.End).CompareTo((right.Begin, right.End)));
        long end = 0;
        foreach (SafetensorsEntry tensor in tensors)
        {
            if (tensor.Begin != end)
                throw new InvalidDataException(
                    $"the data of tensor {SafetensorsEntry.Quote(tensor.Name)} begins at {tensor.Begin}, which "
                    + (tensor.Begin < end ? "overlaps another tensor's, up to " : "leaves a gap after ") + $"{end}.");
            end = tensor.End;
        }
    }
}
