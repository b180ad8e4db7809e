using System.Text.Json;

namespace Microsoft.ML.BatchNorm;

/// <summary>Parses the JSON of a safetensors header, and checks each entry by itself.</summary>
ref struct SafetensorsJson
{
    Utf8JsonReader json;
    string? version;

    // The tensor being parsed, for messages.
    string? tensor;

    /// <summary>The fewest bytes of JSON that a tensor takes.</summary>
    const int LeastEntry = 50;

    SafetensorsJson(ReadOnlySpan<byte> header)
    {
        json = new Utf8JsonReader(header);
        Tensors = new(header.Length / LeastEntry);
    }

    public List<SafetensorsEntry> Tensors { get; }

    public string? Checksum { get; private set; }

    public string? Kind { get; private set; }

    public string? Definition { get; private set; }

    /// <summary>Where in the header the digits of the checksum begin.</summary>
    public int? ChecksumDigits { get; private set; }

    public static SafetensorsJson Parse(ReadOnlySpan<byte> header)
    {
        var parsed = new SafetensorsJson(header);
        try
        {
            parsed.ParseHeader();
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The header is not JSON: {e.Message}", e);
        }
        catch (InvalidOperationException)
        {
            // Token types are checked, so that only text with invalid UTF-8 or half a surrogate pair leads here.
            throw parsed.Error("a string of the header", "not valid Unicode");
        }
        return parsed;
    }

    void ParseHeader()
    {
        json.Read();
        bool metadata = false;
        while (NextKey())
        {
            if (!json.ValueTextEquals(SafetensorsHeader.Metadata))
                Tensors.Add(ParseTensor(json.GetString()!));
            else if (metadata)
                throw new InvalidDataException($"The header has {SafetensorsHeader.Metadata} twice.");
            else
            {
                metadata = true;
                ParseMetadata();
            }
        }
        while (json.Read())
        {
        }
    }

    void ParseMetadata()
    {
        json.Read();
        Expect(JsonTokenType.StartObject, SafetensorsHeader.Metadata, "an object");
        List<string> keys = [];
        while (NextKey())
        {
            string key = json.GetString()!;
            keys.Add(key);
            json.Read();
            if (json.TokenType != JsonTokenType.String)
                throw Error($"metadata {SafetensorsEntry.Quote(key)}", "not a string");
            if (key == SafetensorsHeader.VersionKey)
                version = json.GetString()!;
            else if (key == SafetensorsHeader.ChecksumKey)
                ParseChecksum();
            else if (key == SafetensorsHeader.KindKey)
                Kind = json.GetString()!;
            else if (key == SafetensorsHeader.DefinitionKey)
                Definition = json.GetString()!;
        }
        keys.Sort(StringComparer.Ordinal);
        for (int i = 1; i < keys.Count; i++)
        {
            if (keys[i] == keys[i - 1])
                throw new InvalidDataException($"The metadata has {SafetensorsEntry.Quote(keys[i])} twice.");
        }
        CheckOwn();
    }

    /// <summary>
    /// Checks that this library's metadata is complete, or absent, and of a version that the library reads.
    /// </summary>
    void CheckOwn()
    {
        if (version is not (null or SafetensorsHeader.Version))
            throw new InvalidDataException(
                $"The file has version {SafetensorsEntry.Quote(version)} of this library's format, which is not known; "
                + $"this library reads version \"{SafetensorsHeader.Version}\".");
        CheckBoth(
            version is null, Checksum is null, SafetensorsHeader.VersionKey, SafetensorsHeader.ChecksumKey);
        CheckBoth(Kind is null, Definition is null, SafetensorsHeader.KindKey, SafetensorsHeader.DefinitionKey);
        if (version is not null)
            CheckBoth(false, Kind is null, SafetensorsHeader.VersionKey, SafetensorsHeader.KindKey);

        static void CheckBoth(bool lacksFirst, bool lacksSecond, string first, string second)
        {
            if (lacksFirst != lacksSecond)
                throw new InvalidDataException($"The metadata has one of {first} and {second}, but not both.");
        }
    }

    void ParseChecksum()
    {
        if (json.ValueIsEscaped || json.ValueSpan.Length != SafetensorsHeader.NoChecksum.Length)
            throw new InvalidDataException($"The checksum in {SafetensorsHeader.ChecksumKey} is not eight digits.");
        Checksum = json.GetString()!;
        ChecksumDigits = (int)json.TokenStartIndex + 1;
    }

    SafetensorsEntry ParseTensor(string name)
    {
        tensor = name;
        json.Read();
        Expect(JsonTokenType.StartObject, "the entry", "an object");
        string? dtype = null;
        (SafetensorsShape Shape, long? Elements)? shape = null;
        (long Begin, long End)? offsets = null;
        while (NextKey())
        {
            if (json.ValueTextEquals("dtype"u8) && dtype is null)
                dtype = ParseDtype();
            else if (json.ValueTextEquals("shape"u8) && shape is null)
                shape = ParseShape();
            else if (json.ValueTextEquals("data_offsets"u8) && offsets is null)
                offsets = ParseOffsets();
            else
                throw Error($"key {SafetensorsEntry.Quote(json.GetString()!)}", "unknown or there twice");
        }
        if (dtype is null || shape is not { } s || offsets is not { } o)
            throw Error(dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets", "missing");
        tensor = null;
        var entry = new SafetensorsEntry(name, dtype, s.Shape, o.Begin, o.End);
        entry.CheckBytes(s.Elements);
        return entry;
    }

    string ParseDtype()
    {
        json.Read();
        Expect(JsonTokenType.String, "dtype", "a string");
        return SafetensorsEntry.KnownDtype(json) ?? json.GetString()!;
    }

    (SafetensorsShape Shape, long? Elements) ParseShape()
    {
        json.Read();
        Expect(JsonTokenType.StartArray, "shape", "an array");
        var shape = SafetensorsShape.Scalar;
        long? elements = 1;
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            long next = Natural("shape");
            shape = shape.With(next);
            elements = elements is { } count && (next == 0 || count <= long.MaxValue / next) ? count * next : null;
        }
        return (shape, elements);
    }

    (long Begin, long End) ParseOffsets()
    {
        json.Read();
        Expect(JsonTokenType.StartArray, "data_offsets", "an array");
        json.Read();
        long begin = Natural("data_offsets");
        json.Read();
        long end = Natural("data_offsets");
        json.Read();
        Expect(JsonTokenType.EndArray, "data_offsets", "a pair of numbers");
        return begin <= end ? (begin, end) : throw Error("data_offsets", $"from {begin} back to {end}");
    }

    bool NextKey() => json.Read() && json.TokenType != JsonTokenType.EndObject;

    long Natural(string what) =>
        json.TokenType == JsonTokenType.Number && json.TryGetInt64(out long value) && value >= 0
            ? value
            : throw Error(what, "not made of whole numbers from 0 to 2⁶³ − 1");

    void Expect(JsonTokenType type, string what, string expected)
    {
        if (json.TokenType != type)
            throw Error(what, $"not {expected}");
    }

    InvalidDataException Error(string what, string fault) => new(
        tensor is null
            ? $"The header is wrong: {what} is {fault}."
            : $"Tensor {SafetensorsEntry.Quote(tensor)}: {what} is {fault}.");
}
