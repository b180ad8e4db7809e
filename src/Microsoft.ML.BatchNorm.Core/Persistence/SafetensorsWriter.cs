using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Writes tensors as a safetensors file of their own.</summary>
static class SafetensorsWriter
{
    const int Alignment = 8;

    public static string Digits(uint checksum) => checksum.ToString("x8", CultureInfo.InvariantCulture);

    /// <summary>
    /// Writes wide tensors before narrow ones, so that each lies at a multiple of its element's size.
    /// </summary>
    /// <param name="stream">Written from where it stands.</param>
    /// <param name="tensors">The tensors, in any order.</param>
    /// <param name="options">
    /// The options of batch normalizations, by what their tensors' names begin with; what they leave unsaid is written
    /// as it is computed with. Like the rest, they are metadata.
    /// </param>
    /// <param name="populations">Populations by their names.</param>
    /// <param name="preset">Whose defaults it has, if it is a network.</param>
    /// <param name="slopes">The slopes of a network's LeakyReLUs, by their paths.</param>
    /// <exception cref="ArgumentException">
    /// Names and metadata are longer than a header may be; nothing was written.
    /// </exception>
    public static void Write(
        Stream stream, IEnumerable<SafetensorsTensor> tensors, Dictionary<string, BatchNormalizationOptions> options,
        IEnumerable<KeyValuePair<string, PopulationMoments>> populations, NetworkPreset? preset = null,
        Dictionary<string, double>? slopes = null)
    {
        Dictionary<string, BatchNormalizationOptions> effective = options.ToDictionary(
            layer => layer.Key, layer => layer.Value.Or(BatchNormalizationOptions.Keras));
        List<KeyValuePair<string, string>> metadata =
        [
            KeyValuePair.Create(SafetensorsHeader.OptionsKey, OptionsFormat.ToText(effective)),
            .. populations.Select(known => KeyValuePair.Create(known.Key, PopulationText.Of(known.Value))),
        ];
        if (preset is { } said)
            metadata.Add(KeyValuePair.Create(SafetensorsHeader.PresetKey, $"{said}"));
        if (slopes is { Count: > 0 })
            metadata.Add(KeyValuePair.Create(SafetensorsHeader.SlopesKey, OptionsFormat.ToText(slopes)));
        SafetensorsTensor[] ordered = [.. tensors.OrderByDescending(tensor => SafetensorsEntry.SizeOf(tensor.Dtype))];
        // A character of a name takes at most six bytes, escaped; what is around a name fewer than two hundred.
        long longest = ordered.Sum(tensor => 6L * tensor.Name.Length + 200)
            + metadata.Sum(known => 6L * known.Key.Length + 2L * known.Value.Length + 200);
        if (longest > SafetensorsHeader.MaxLength)
            throw new ArgumentException(
                $"The names of {ordered.Length} tensors and {metadata.Count} pieces of metadata may take {longest} "
                + $"bytes; a header has at most {SafetensorsHeader.MaxLength}. Save has no such limit.");
        (byte[] header, int digits) = Header(ordered, metadata);
        var first = new ByteSink(Stream.Null);
        Write(first, header, ordered);
        Encoding.ASCII.GetBytes(Digits(first.Checksum.Value), header.AsSpan(digits));
        Write(new ByteSink(stream), header, ordered);
    }

    static void Write(ByteSink sink, byte[] header, SafetensorsTensor[] tensors)
    {
        sink.Write((ulong)header.Length);
        sink.Write(header);
        foreach (SafetensorsTensor tensor in tensors)
            tensor.Write(sink);
    }

    /// <summary>The padded header with zeros for the checksum's digits, and where these begin.</summary>
    static (byte[] Bytes, int Digits) Header(SafetensorsTensor[] tensors, List<KeyValuePair<string, string>> metadata)
    {
        var bytes = new ArrayBufferWriter<byte>();
        var options = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using var json = new Utf8JsonWriter(bytes, options);
        json.WriteStartObject();
        json.WriteStartObject(SafetensorsHeader.Metadata);
        json.WriteString(SafetensorsHeader.WriterKey, SafetensorsHeader.Writer);
        json.WriteString(SafetensorsHeader.ChecksumKey, SafetensorsHeader.NoChecksum);
        int digits = (int)(json.BytesCommitted + json.BytesPending) - 1 - SafetensorsHeader.NoChecksum.Length;
        foreach ((string key, string text) in metadata)
            json.WriteString(key, text);
        json.WriteEndObject();

        long offset = 0;
        foreach (SafetensorsTensor tensor in tensors)
        {
            json.WriteStartObject(tensor.Name);
            json.WriteString("dtype"u8, tensor.Dtype);
            json.WriteStartArray("shape"u8);
            for (int i = 0; i < tensor.Shape.Rank; i++)
                json.WriteNumberValue(tensor.Shape[i]);
            json.WriteEndArray();
            json.WriteStartArray("data_offsets"u8);
            json.WriteNumberValue(offset);
            json.WriteNumberValue(offset += tensor.Bytes);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.Flush();

        int padding = (Alignment - bytes.WrittenCount % Alignment) % Alignment;
        bytes.GetSpan(padding)[..padding].Fill((byte)' ');
        bytes.Advance(padding);
        return (bytes.WrittenSpan.ToArray(), digits);
    }
}
