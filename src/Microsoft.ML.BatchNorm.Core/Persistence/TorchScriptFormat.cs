using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// What a TorchScript layer has, as bytes: rank (byte) and dimensions (int32 each) of input and output, the length
/// (int32) and bytes of the module.
/// </summary>
static class TorchScriptFormat
{
    public static void Write(BinaryWriter writer, TorchScriptLayer layer)
    {
        Write(writer, layer.Input);
        Write(writer, layer.Output);
        writer.Write(layer.Module.Length);
        writer.Write(layer.Module.AsSpan());
    }

    /// <param name="reader">Over bytes in memory.</param>
    public static TorchScriptLayer Read(BinaryReader reader)
    {
        TensorShape input = ReadShape(reader), output = ReadShape(reader);
        int length = reader.ReadInt32();
        long left = reader.BaseStream.Length - reader.BaseStream.Position;
        if (length <= 0 || length > left)
            throw new InvalidDataException($"A TorchScript module claims {length} bytes; {left} are left.");
        return new(ImmutableCollectionsMarshal.AsImmutableArray(reader.ReadBytes(length)), input, output);
    }

    static void Write(BinaryWriter writer, TensorShape shape)
    {
        writer.Write((byte)shape.Rank);
        foreach (int dimension in shape.Dimensions)
            writer.Write(dimension);
    }

    static TensorShape ReadShape(BinaryReader reader)
    {
        int[] dimensions = new int[reader.ReadByte()];
        for (int i = 0; i < dimensions.Length; i++)
            dimensions[i] = reader.ReadInt32();
        return new TensorShape(dimensions);
    }
}
