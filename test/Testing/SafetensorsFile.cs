using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Safetensors files put together by hand, right or wrong.</summary>
static class SafetensorsFile
{
    /// <summary>A file of a header as given and of data.</summary>
    public static byte[] Of(string header, params byte[][] data)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        var file = new MemoryStream();
        foreach (byte[] part in (byte[][])[length, json, .. data])
            file.Write(part);
        return file.ToArray();
    }

    /// <summary>A header entry.</summary>
    public static string Entry(string name, string dtype, string shape, long begin, long end) =>
        $"\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{begin},{end}]}}";

    /// <summary>A file of tensors one after the other.</summary>
    public static byte[] Of(params (string Name, string Dtype, int[] Shape, byte[] Data)[] tensors)
    {
        var entries = new List<string>();
        long end = 0;
        foreach (var (name, dtype, shape, data) in tensors)
            entries.Add(Entry(name, dtype, string.Join(",", shape), end, end += data.Length));
        return Of("{" + string.Join(",", entries) + "}", [.. tensors.Select(tensor => tensor.Data)]);
    }

    /// <summary>The JSON of a file's header.</summary>
    public static string Header(byte[] file) => Encoding.UTF8.GetString(file, 8, BitConverter.ToInt32(file));

    /// <summary>What follows a file's header.</summary>
    public static byte[] Data(byte[] file) => file[(8 + BitConverter.ToInt32(file))..];

    /// <summary>The definition in a file of this library.</summary>
    public static string Definition(byte[] file) =>
        (string)JsonNode.Parse(Header(file))![SafetensorsHeader.Metadata]![SafetensorsHeader.DefinitionKey]!;

    /// <summary>The same file with another definition, under a right checksum.</summary>
    public static byte[] WithDefinition(byte[] file, string definition)
    {
        JsonNode header = JsonNode.Parse(Header(file))!;
        header[SafetensorsHeader.Metadata]![SafetensorsHeader.DefinitionKey] = definition;
        return WithChecksum(Of(header.ToJsonString(), Data(file)));
    }

    /// <summary>The same file with one value of a tensor changed, under a right checksum.</summary>
    public static byte[] With<T>(byte[] file, string tensor, int index, T value) where T : unmanaged
    {
        int begin = (int)JsonNode.Parse(Header(file))![tensor]!["data_offsets"]![0]!;
        byte[] data = Data(file);
        MemoryMarshal.Cast<byte, T>(data.AsSpan(begin))[index] = value;
        return WithChecksum([.. file[..^data.Length], .. data]);
    }

    /// <summary>The bytes with the checksum made right that they claim, if they claim one.</summary>
    public static byte[] WithChecksum(byte[] bytes)
    {
        int digits = bytes.AsSpan().IndexOf("crc32c\":\""u8) + 9;
        if (digits < 9 || digits + 8 > bytes.Length)
            return bytes;
        byte[] sealedBytes = [.. bytes];
        sealedBytes.AsSpan(digits, 8).Fill((byte)'0');
        var checksum = new Crc32C();
        checksum.Append(sealedBytes);
        Encoding.ASCII.GetBytes(SafetensorsWriter.Digits(checksum.Value), sealedBytes.AsSpan(digits));
        return sealedBytes;
    }

    /// <summary>A file of this library without a checksum, as another program leaves it that has changed it.</summary>
    public static byte[] OfKind(
        string kind, string definition, params (string Name, string Dtype, int[] Shape, byte[] Data)[] tensors)
    {
        byte[] file = Of(tensors);
        JsonNode header = JsonNode.Parse(Header(file))!;
        header[SafetensorsHeader.Metadata] = new JsonObject
        {
            [SafetensorsHeader.KindKey] = kind,
            [SafetensorsHeader.DefinitionKey] = definition,
        };
        return Of(header.ToJsonString(), Data(file));
    }

    public static byte[] Bytes<T>(params T[] values) where T : unmanaged =>
        MemoryMarshal.AsBytes<T>(values).ToArray();

    /// <summary>A network as torch's save_file writes it: by dtype, then by name, with metadata and padding.</summary>
    public static byte[] PyTorchNetwork()
    {
        string header = "{\"__metadata__\":{\"format\":\"pt\"},"
            + string.Join(
                ",",
                Entry("bn1.num_batches_tracked", "I64", "", 0, 8),
                Entry("bn1.bias", "F32", "3", 8, 20),
                Entry("bn1.running_mean", "F32", "3", 20, 32),
                Entry("bn1.running_var", "F32", "3", 32, 44),
                Entry("bn1.weight", "F32", "3", 44, 56),
                Entry("bn10.running_mean", "F32", "2", 56, 64),
                Entry("conv1.weight", "F32", "3,1,2,2", 64, 112),
                Entry("mask", "BOOL", "5", 112, 117))
            + "}";
        return Of(
            header.PadRight((header.Length + 7) / 8 * 8),
            Bytes(1234L), Bytes(0.5f, -0.25f, 0), Bytes(1f, 2f, -3f), Bytes(4f, 0f, 0.1f), Bytes(1.5f, 1f, -2f),
            Bytes(7f, 8f), Bytes(new float[12]), Bytes<byte>(1, 0, 1, 1, 0));
    }
}
