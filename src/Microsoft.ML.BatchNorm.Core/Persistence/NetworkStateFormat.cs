using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// The states of a network's layers as bytes, in the order of its nodes. What lengths they have follows from the
/// network and, for a batch normalization, from its flags. With <see cref="PartFlags.TorchScriptStates"/> a TorchScript
/// layer has the length (int32) and bytes of its module; none where it was not trained.
/// </summary>
static class NetworkStateFormat
{
    public static PartFlags Flags(params IEnumerable<NetworkState?> states) =>
        states.Any(state => state is not null && state.Paths.Any(path => !state[path].TorchScript.IsEmpty))
            ? PartFlags.TorchScriptStates
            : PartFlags.None;

    public static void Write(ByteSink sink, Network network, NetworkState state, PartFlags flags)
    {
        foreach (NetworkNode node in network.Nodes)
        {
            if (node.Layer is TorchScriptLayer)
            {
                if ((flags & PartFlags.TorchScriptStates) != 0)
                    WriteModule(sink, state.TryGet(node.Path)?.TorchScript ?? []);
                continue;
            }
            if (state.TryGet(node.Path) is not { } layer)
                continue;
            if (layer.BatchNormalization is { } normalization)
            {
                sink.Write((ushort)BinaryHeader.Of(normalization).Parts);
                normalization.WritePayload(sink);
                continue;
            }
            sink.WriteArray(layer.Kernel);
            sink.WriteArray(layer.Bias);
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote; values are not checked, see <see cref="Fault"/>.</summary>
    public static NetworkState Read(ByteSource source, Network network, PartFlags flags)
    {
        var layers = new List<KeyValuePair<string, LayerState>>();
        foreach (NetworkNode node in network.Nodes)
        {
            LayerState? layer = node.Layer is BatchNormalizationLayer normalization
                ? new LayerState(ReadNormalization(source, node.Path, normalization.Channels(node.Input)))
                : node.Layer is TorchScriptLayer
                    ? (flags & PartFlags.TorchScriptStates) == 0 ? null : ReadModule(source, node.Path)
                    : ReadTensors(source, node);
            if (layer is not null)
                layers.Add(KeyValuePair.Create(node.Path, layer));
        }
        return new NetworkState(layers);
    }

    /// <summary>What is wrong with a state's parts or values, in words, or null.</summary>
    public static string? Fault(Network network, NetworkState state)
    {
        foreach (NetworkNode node in network.Nodes)
        {
            if (state.TryGet(node.Path) is not { } layer)
                continue;
            if (Network.Misfit(node, layer) is { } misfit)
                return $"Layer '{node.Path}' {misfit}.";
            string? fault = layer.BatchNormalization is { } normalization
                ? StateFault.Of(normalization, StateNames.Own)
                : LayerState.Fault<float>(layer.Kernel, "kernel") ?? LayerState.Fault<float>(layer.Bias, "bias");
            if (fault is not null)
                return $"Layer '{node.Path}': {fault}";
        }
        return null;
    }

    static void WriteModule(ByteSink sink, ImmutableArray<byte> module)
    {
        sink.Write(module.Length);
        sink.Write(module.AsSpan());
    }

    static LayerState? ReadModule(ByteSource source, string path)
    {
        source.Enter($"the length of the module of layer '{path}'", sizeof(int));
        int length = source.Read<int>();
        if (length < 0)
            throw new InvalidDataException($"The module of layer '{path}' claims {length} bytes.");
        if (length == 0)
            return null;
        source.Enter($"the module of layer '{path}'", length);
        return LayerState.OfTorchScript(
            ImmutableCollectionsMarshal.AsImmutableArray(source.ReadArray<byte>(length)));
    }

    static LayerState? ReadTensors(ByteSource source, NetworkNode node)
    {
        TensorSpec[] tensors = [.. node.Tensors];
        if (tensors.Length == 0)
            return null;
        return LayerState.OfTensors(
            tensors.Select(tensor => KeyValuePair.Create<string, Array>(tensor.Name, Values(tensor))).ToArray());

        float[] Values(TensorSpec tensor)
        {
            source.Enter($"the {tensor.Name} of layer '{node.Path}'", (long)tensor.Shape!.Size * sizeof(float));
            return source.ReadArray<float>(tensor.Shape.Size);
        }
    }

    static BatchNormalizationState ReadNormalization(ByteSource source, string path, int channels)
    {
        source.Enter($"the flags of layer '{path}'", sizeof(ushort));
        var parts = (StateParts)source.Read<ushort>();
        if ((parts & ~StateParts.All) != 0)
            throw new InvalidDataException(
                $"The flags of layer '{path}' are {(ushort)parts}; those up to 15 are known.");
        var header = new BinaryHeader(parts, channels);
        source.Enter($"the state of layer '{path}'", header.PayloadLength);
        return BatchNormalizationState.ReadPayload(source, header);
    }
}
