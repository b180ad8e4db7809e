using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A network's definition as bytes, little-endian. Version 1: preset (byte, 0 for none, else one more), rank (byte) and
/// dimensions (int32 each) of the input, the number of nodes (int32), and of each the number of inputs (int32), these
/// (int32 each), and its <see cref="LayerFormat">layer</see>.
/// </summary>
static class NetworkFormat
{
    public static byte[] ToBytes(Network network)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        Write(writer, network);
        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote, to the last byte.</summary>
    /// <exception cref="InvalidDataException">
    /// A kind is not known, a value is out of range, shapes or names do not fit together, or bytes are missing or left.
    /// </exception>
    public static Network FromBytes(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes));
        try
        {
            Network network = Read(reader);
            return reader.BaseStream.Position == bytes.Length
                ? network
                : throw new InvalidDataException(
                    $"{bytes.Length - reader.BaseStream.Position} bytes follow the definition.");
        }
        catch (Exception error) when (error is ArgumentException or EndOfStreamException)
        {
            throw new InvalidDataException($"The definition of the network is wrong: {Fault(error)}", error);
        }
    }

    /// <summary>What is wrong with bytes that a value could not be made of.</summary>
    public static string Fault(Exception error) =>
        error is ArgumentException argument ? Check.Text(argument) : error.Message;

    static void Write(BinaryWriter writer, Network network)
    {
        writer.Write((byte)(network.Preset + 1 ?? 0));
        writer.Write((byte)network.InputShape.Rank);
        foreach (int dimension in network.InputShape.Dimensions)
            writer.Write(dimension);
        writer.Write(network.Nodes.Count);
        foreach (NetworkNode node in network.Nodes)
        {
            writer.Write(node.Inputs.Length);
            foreach (int input in node.Inputs)
                writer.Write(input);
            LayerFormat.Write(writer, node);
        }
    }

    static Network Read(BinaryReader reader)
    {
        NetworkPreset? preset = reader.ReadByte() is var said and not 0
            ? Check.Defined((NetworkPreset)(said - 1), "preset")
            : null;
        int[] dimensions = new int[reader.ReadByte()];
        foreach (ref int dimension in dimensions.AsSpan())
            dimension = reader.ReadInt32();
        int count = reader.ReadInt32();
        if (count is < 0 or > Network.MaxNodes)
            throw new InvalidDataException($"There are {count} layers; a network has at most {Network.MaxNodes}.");
        return Network.OfNodes(new TensorShape(dimensions), preset, Nodes(reader, count));
    }

    static IEnumerable<(string Path, Layer Layer, ImmutableArray<int> Inputs)> Nodes(BinaryReader reader, int count)
    {
        for (int i = 0; i < count; i++)
        {
            int read = reader.ReadInt32();
            if (read is < 1 or > Network.MaxNodes)
                throw new InvalidDataException($"Layer {i} reads {read} values.");
            int[] inputs = new int[read];
            foreach (ref int input in inputs.AsSpan())
                input = reader.ReadInt32();
            (string path, Layer layer) = LayerFormat.Read(reader);
            yield return (path, layer, [.. inputs]);
        }
    }
}
