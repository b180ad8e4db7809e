using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm;

/// <summary>A tensor to write. Its values are an array of float, double, long or byte.</summary>
sealed record SafetensorsTensor(string Name, SafetensorsShape Shape, Array Values)
{
    public string Dtype => Values switch { double[] => "F64", long[] => "I64", float[] => "F32", _ => "U8" };

    public long Bytes => (long)Values.Length * SafetensorsEntry.SizeOf(Dtype);
}

/// <summary>Writes safetensors files.</summary>
static class SafetensorsWriter
{
    const int Alignment = 8;

    public static string Digits(uint checksum) => checksum.ToString("x8", CultureInfo.InvariantCulture);

    /// <summary>
    /// Writes a file. Tensors of wide elements come before those of narrow ones, so that each lies at a multiple of its
    /// element's size.
    /// </summary>
    /// <param name="stream">
    /// Written from its current position, after everything has been checked: only the stream itself can still fail.
    /// </param>
    /// <param name="kind">One of <see cref="FileKind"/>.</param>
    /// <param name="definition">The definition as JSON.</param>
    /// <param name="tensors">The tensors, in any order.</param>
    /// <exception cref="InvalidOperationException">Names and definition are longer than a header may be.</exception>
    public static void Write(Stream stream, string kind, string definition, IEnumerable<SafetensorsTensor> tensors)
    {
        SafetensorsTensor[] ordered =
            [.. tensors.OrderByDescending(tensor => SafetensorsEntry.SizeOf(tensor.Dtype))];
        (byte[] header, int digits) = Header(kind, definition, ordered);
        var checksum = new Crc32C();
        Write(header, ordered, bytes => checksum.Append(bytes));
        Encoding.ASCII.GetBytes(Digits(checksum.Value), header.AsSpan(digits));
        Write(header, ordered, stream.Write);
    }

    static void Write(byte[] header, SafetensorsTensor[] tensors, Action<ReadOnlySpan<byte>> take)
    {
        ByteOrder.ForEachPiece<long>([header.Length], take);
        take(header);
        foreach (SafetensorsTensor tensor in tensors)
        {
            switch (tensor.Values)
            {
                case double[] values:
                    ByteOrder.ForEachPiece<double>(values, take);
                    break;
                case long[] values:
                    ByteOrder.ForEachPiece<long>(values, take);
                    break;
                case float[] values:
                    ByteOrder.ForEachPiece<float>(values, take);
                    break;
                case var values:
                    take((byte[])values);
                    break;
            }
        }
    }

    /// <summary>The padded header with zeros for the checksum's digits, and where these begin.</summary>
    static (byte[] Bytes, int Digits) Header(string kind, string definition, SafetensorsTensor[] tensors)
    {
        // A character takes at least one byte.
        CheckLength(definition.Length + tensors.Sum(tensor => (long)tensor.Name.Length));
        var bytes = new ArrayBufferWriter<byte>();
        var options = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using var json = new Utf8JsonWriter(bytes, options);
        json.WriteStartObject();
        json.WriteStartObject(SafetensorsHeader.Metadata);
        json.WriteString(SafetensorsHeader.VersionKey, SafetensorsHeader.Version);
        json.WriteString(SafetensorsHeader.ChecksumKey, SafetensorsHeader.NoChecksum);
        int digits = (int)(json.BytesCommitted + json.BytesPending) - 1 - SafetensorsHeader.NoChecksum.Length;
        json.WriteString(SafetensorsHeader.KindKey, kind);
        json.WriteString(SafetensorsHeader.DefinitionKey, definition);
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
        CheckLength(bytes.WrittenCount + padding);
        bytes.GetSpan(padding)[..padding].Fill((byte)' ');
        bytes.Advance(padding);
        return (bytes.WrittenSpan.ToArray(), digits);
    }

    static void CheckLength(long bytes)
    {
        if (bytes > SafetensorsHeader.MaxLength)
            throw new InvalidOperationException(
                $"The names of the tensors and the definition take {bytes} bytes; a safetensors header has at most "
                + $"{SafetensorsHeader.MaxLength}.");
    }
}
