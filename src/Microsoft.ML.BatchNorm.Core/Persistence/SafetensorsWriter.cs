using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Writes a state as a safetensors file of its own.</summary>
static class SafetensorsWriter
{
    const int Alignment = 8;

    public static string Digits(uint checksum) => checksum.ToString("x8", CultureInfo.InvariantCulture);

    public static void Write(BatchNormalizationState state, Stream stream, StateNames names)
    {
        (byte[] header, int digits) = Header(state, names);
        var first = new ByteSink(Stream.Null);
        Write(state, first, header, names);
        Encoding.ASCII.GetBytes(Digits(first.Checksum.Value), header.AsSpan(digits));
        Write(state, new ByteSink(stream), header, names);
    }

    static void Write(BatchNormalizationState state, ByteSink sink, byte[] header, StateNames names)
    {
        sink.Write((ulong)header.Length);
        sink.Write(header);
        sink.WriteArray(state.MovingMean);
        sink.WriteArray(state.MovingVariance);
        if (state.Renorm is not null)
        {
            sink.WriteArray(state.Renorm.MovingStandardDeviation);
            sink.WriteArray(state.Renorm.Mean);
            sink.WriteArray(state.Renorm.StandardDeviation);
        }
        if (names.Batches is not null)
            sink.Write(state.BatchesSeen);
        sink.WriteArray(state.Gamma);
        sink.WriteArray(state.Beta);
    }

    /// <summary>The padded header with zeros for the checksum's digits, and where these begin.</summary>
    static (byte[] Bytes, int Digits) Header(BatchNormalizationState state, StateNames names)
    {
        var bytes = new ArrayBufferWriter<byte>();
        var options = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using var json = new Utf8JsonWriter(bytes, options);
        json.WriteStartObject();
        json.WriteStartObject(SafetensorsHeader.Metadata);
        json.WriteString(SafetensorsHeader.WriterKey, SafetensorsHeader.Writer);
        json.WriteString(SafetensorsHeader.ChecksumKey, SafetensorsHeader.NoChecksum);
        int digits = (int)(json.BytesCommitted + json.BytesPending) - 1 - SafetensorsHeader.NoChecksum.Length;
        json.WriteEndObject();

        long offset = 0;
        Tensor(names.Mean, "F64", sizeof(double), state.Channels);
        Tensor(names.Variance, "F64", sizeof(double), state.Channels);
        if (state.Renorm is not null)
        {
            foreach (string name in names.Renorm)
                Tensor(name, "F64", sizeof(double), state.Channels);
        }
        if (names.Batches is not null)
            Tensor(names.Batches, "I64", sizeof(long), null);
        if (!state.Gamma.IsEmpty)
            Tensor(names.Gamma, "F32", sizeof(float), state.Channels);
        if (!state.Beta.IsEmpty)
            Tensor(names.Beta, "F32", sizeof(float), state.Channels);
        json.WriteEndObject();
        json.Flush();

        int padding = (Alignment - bytes.WrittenCount % Alignment) % Alignment;
        bytes.GetSpan(padding)[..padding].Fill((byte)' ');
        bytes.Advance(padding);
        return (bytes.WrittenSpan.ToArray(), digits);

        void Tensor(string name, string dtype, int size, int? dimension)
        {
            json.WriteStartObject(name);
            json.WriteString("dtype"u8, dtype);
            json.WriteStartArray("shape"u8);
            if (dimension is { } channels)
                json.WriteNumberValue(channels);
            json.WriteEndArray();
            json.WriteStartArray("data_offsets"u8);
            json.WriteNumberValue(offset);
            json.WriteNumberValue(offset += (long)size * (dimension ?? 1));
            json.WriteEndArray();
            json.WriteEndObject();
        }
    }
}
