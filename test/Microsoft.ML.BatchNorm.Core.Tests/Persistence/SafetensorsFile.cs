using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.BatchNorm.Tests.Persistence;

/// <summary>Safetensors files put together by hand, right or wrong.</summary>
static class SafetensorsFile
{
    /// <summary>A file of a header as given and of data.</summary>
    public static byte[] Of(string header, params byte[][] data)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        return [.. length, .. json, .. data.SelectMany(bytes => bytes)];
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
