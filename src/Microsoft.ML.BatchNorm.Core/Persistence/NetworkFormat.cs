using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A network's definition as bytes, little-endian. Version 1: preset (byte, 0 for none, else one more), rank (byte) and
/// dimensions (int32 each) of the input, the number of layers (int32), and each <see cref="LayerFormat">layer</see>.
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
            int left = Network.MaxNodes;
            Network network = Read(reader, Network.MaxDepth, ref left);
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

    public static void Write(BinaryWriter writer, Network network)
    {
        writer.Write((byte)(network.Preset + 1 ?? 0));
        writer.Write((byte)network.InputShape.Rank);
        foreach (int dimension in network.InputShape.Dimensions)
            writer.Write(dimension);
        writer.Write(network.Layers.Count);
        foreach (Layer layer in network.Layers)
            LayerFormat.Write(writer, layer);
    }

    /// <param name="reader">Where the network begins.</param>
    /// <param name="depth">How deep networks may still nest, this one counted.</param>
    /// <param name="left">How many layers may still come.</param>
    public static Network Read(BinaryReader reader, int depth, ref int left)
    {
        if (depth == 0)
            throw new InvalidDataException($"Networks nest more than {Network.MaxDepth} deep.");
        NetworkPreset? preset = reader.ReadByte() is var said and not 0
            ? Check.Defined((NetworkPreset)(said - 1), "preset")
            : null;
        int[] dimensions = new int[reader.ReadByte()];
        foreach (ref int dimension in dimensions.AsSpan())
            dimension = reader.ReadInt32();
        var shape = new TensorShape(dimensions);

        int count = reader.ReadInt32();
        // Networks without layers count too: a file of nothing else must end.
        if (count < 0 || (left -= Math.Max(1, count)) < 0)
            throw new InvalidDataException($"There are {count} layers; a network has at most {Network.MaxNodes}.");
        var layers = ImmutableArray.CreateBuilder<Layer>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < count; i++)
        {
            Layer layer = LayerFormat.Read(reader, depth - 1, ref left);
            if (layer.Name.Length == 0 || !names.Add(layer.Name))
                throw new InvalidDataException(
                    layer.Name.Length == 0 ? $"Layer {i} has no name." : $"Two layers have the name '{layer.Name}'.");
            layers.Add(Network.Settled(layer));
        }
        return new Network(shape, preset, layers.ToImmutable());
    }
}
