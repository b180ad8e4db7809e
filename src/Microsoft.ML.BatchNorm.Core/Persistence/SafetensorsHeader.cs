using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>A checked safetensors header: tensors in the order of their data, which leaves no gap.</summary>
sealed class SafetensorsHeader
{
    public const int MaxLength = 100_000_000;
    public const string Metadata = "__metadata__";
    public const string WriterKey = "batchnorm.writer", ChecksumKey = "batchnorm.crc32c";
    public const string OptionsKey = "batchnorm.options", PresetKey = "batchnorm.preset";
    public const string SlopesKey = "batchnorm.slopes";
    public const string Writer = "Microsoft.ML.BatchNorm 1";
    public const string NoChecksum = "00000000";

    readonly Dictionary<string, BatchNormalizationOptions>? options;
    readonly Dictionary<string, double>? slopes;

    SafetensorsHeader(SafetensorsJson json)
    {
        (Tensors, Checksum, Populations, Preset) = (json.Tensors, json.Checksum, json.Populations, json.Preset);
        options = Read(json.Options, OptionsKey, OptionsFormat.FromText);
        slopes = Read(json.Slopes, SlopesKey, OptionsFormat.SlopesFromText);
    }

    public List<SafetensorsEntry> Tensors { get; }

    /// <summary>The checksum in hexadecimal that the file claims, null in a file by another writer.</summary>
    public string? Checksum { get; }

    /// <summary>Whose defaults the network had, null where the file does not state it.</summary>
    public NetworkPreset? Preset { get; }

    /// <summary>
    /// The options that the file states of the layer whose tensors' names begin with a prefix; null where it states
    /// none.
    /// </summary>
    public BatchNormalizationOptions? OptionsOf(string prefix) => options?.GetValueOrDefault(prefix);

    /// <summary>The slope that the file states of a LeakyReLU, by its path; null where it states none.</summary>
    public double? SlopeOf(string path) => slopes?.TryGetValue(path, out double slope) == true ? slope : null;

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
            throw Other(prefix, $"The header claims {length} bytes; a safetensors header has at most {MaxLength}.");
        source.Enter("its header", (long)length);
        byte[] first = source.ReadArray<byte>((int)Math.Min(length, 1));
        if (first is not [(byte)'{'])
            throw Other(prefix, "The header does not begin with {, as a safetensors header does.");
        byte[] json = source.ReadArray<byte>((int)length, first);
        var parsed = SafetensorsJson.Parse(json);
        CheckNames(parsed.Tensors);
        CheckOffsets(parsed.Tensors);
        TakeOffNumbers(parsed.Tensors);

        if (parsed.ChecksumDigits is { } digits)
            json.AsSpan(digits, NoChecksum.Length).Fill((byte)'0');
        source.Checksum = new Crc32C();
        source.Checksum.Append(prefix);
        source.Checksum.Append(json);
        if (parsed.Checksum is null)
            parsed.Populations.Clear();
        return new SafetensorsHeader(parsed);
    }

    static T? Read<T>(string? text, string key, Func<string, T> parse) where T : class
    {
        try
        {
            return text is null ? null : parse(text);
        }
        catch (Exception error) when (error is ArgumentException or InvalidDataException)
        {
            throw new InvalidDataException(
                $"The metadata's {key} is wrong: {NetworkFormat.Fault(error)}", error);
        }
    }

    static InvalidDataException Other(ReadOnlySpan<byte> first, string fault) => new(
        OtherFile.Describe(first) is { } other
            ? $"This is not a safetensors file. {other}"
            : $"This is not a safetensors file, or it is damaged. {fault}");

    /// <summary>
    /// Keras 2 calls a layer's variables <c>gamma:0</c>: the number goes, where no other tensor has the name then.
    /// </summary>
    static void TakeOffNumbers(List<SafetensorsEntry> tensors)
    {
        const string number = ":0";
        if (!tensors.Exists(tensor => tensor.Name.EndsWith(number, StringComparison.Ordinal)))
            return;
        HashSet<string> names = [.. tensors.Select(tensor => tensor.Name)];
        foreach (ref SafetensorsEntry tensor in CollectionsMarshal.AsSpan(tensors))
        {
            if (tensor.Name.EndsWith(number, StringComparison.Ordinal) && names.Add(tensor.Name[..^number.Length]))
                tensor = tensor with { Name = tensor.Name[..^number.Length] };
        }
    }

    static void CheckNames(List<SafetensorsEntry> tensors)
    {
        tensors.Sort((left, right) => string.CompareOrdinal(left.Name, right.Name));
        for (int i = 1; i < tensors.Count; i++)
        {
            if (tensors[i].Name == tensors[i - 1].Name)
                throw new InvalidDataException(
                    $"The header has tensor {SafetensorsEntry.Quote(tensors[i].Name)} twice.");
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
                    $"The data of tensor {SafetensorsEntry.Quote(tensor.Name)} begins at {tensor.Begin}, which "
                    + (tensor.Begin < end ? "overlaps another tensor's, up to " : "leaves a gap after ") + $"{end}.");
            end = tensor.End;
        }
    }
}
