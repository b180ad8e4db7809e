using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

[JsonConverter(typeof(NetworkConverter))]
public sealed partial class Network
{
    /// <summary>Writes the network and every bit of its state as a safetensors file.</summary>
    /// <param name="stream">
    /// Written from where it stands, neither flushed nor closed. Networks may follow one another, or lie amid other
    /// data.
    /// </param>
    /// <param name="state">A state of this network.</param>
    /// <remarks>
    /// <para>
    /// A tensor's name is the path of its layer and its own name: <c>base/dense/kernel</c>. The network is JSON in the
    /// metadata: layers with their options, initializers, names and switches; and so is a checksum, by which loading
    /// notices any damage. <c>docs/model-format.md</c> describes the format. <see cref="SaveSafetensors"/> writes the
    /// names that Keras and PyTorch know.
    /// </para>
    /// <para>A version that this library has written can be read by every later one.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">
    /// The state is not one of this network; the message names every layer.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after a training that diverged, or definition and names take more than
    /// 100 MB, and could not be loaded again; nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream, NetworkState state)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable(state);
        SafetensorsWriter.Write(
            stream, FileKind.Network, Definition.ToText(this), [.. ModuleTensors(""), .. StateTensors(state, "")]);
    }

    /// <summary>
    /// Reads a network that <see cref="Save"/> wrote; it and its state equal the saved ones bit for bit.
    /// </summary>
    /// <param name="stream">Read up to the network's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are noticed. Memory grows with the bytes that are there, not with lengths claimed.
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The stream holds no network here, or it is truncated, damaged, of an unknown version, or has a value out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static SavedNetwork Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var file = new SafetensorsReader(stream);
        return Definition.Parse<Network>(file.DefinitionOf(FileKind.Network)).LoadTensors(file);
    }

    /// <summary>Reads modules and state of this network, whose definition has been read.</summary>
    internal SavedNetwork LoadTensors(SafetensorsReader file)
    {
        var expected = new ExpectedTensors("network");
        ExpectModules(expected, "");
        LayerTensors[] layers = ExpectState(expected, "");
        expected.Match(file.Header);
        SafetensorsValues values = file.Read(expected.Needs, toEnd: false);
        return new SavedNetwork(WithModules(values, ""), StateOf(layers, values));
    }

    /// <summary>A network that a file defines.</summary>
    /// <exception cref="ArgumentException">Nodes, paths or shapes do not fit together.</exception>
    internal static Network OfDefinition(NetworkDefinition definition) => OfNodes(
        definition.Input, Check.Defined(definition.Preset, "the preset"),
        definition.Nodes.Select(node => node is null
            ? throw new ArgumentException("A node is null.")
            : (node.Path, node.Layer, node.Inputs.ToImmutableArray())));

    /// <summary>The modules of the TorchScript layers, as they were before any training.</summary>
    internal IEnumerable<SafetensorsTensor> ModuleTensors(string root) => Scripts.Select(script =>
        new SafetensorsTensor(
            NameOfModule(root, script.Path), SafetensorsShape.Of(script.Layer.Module.Length),
            ImmutableCollectionsMarshal.AsArray(script.Layer.Module)!));

    /// <summary>All tensors of a state of this network.</summary>
    internal IEnumerable<SafetensorsTensor> StateTensors(NetworkState state, string root) => Nodes
        .Where(node => state.TryGet(node.Path) is not null)
        .SelectMany(node => TensorsOf(node, root).Write(state[node.Path]));

    internal void ExpectModules(ExpectedTensors expected, string root)
    {
        foreach ((string path, _) in Scripts)
            expected.Add(new FileTensor(
                new("module", null, TensorType.U8, TensorRole.Other), NameOfModule(root, path)));
    }

    internal LayerTensors[] ExpectState(ExpectedTensors expected, string root) =>
        [.. Nodes.Select(node => expected.Add(TensorsOf(node, root)))];

    /// <summary>This network with the modules of its TorchScript layers, which a definition does not have.</summary>
    internal Network WithModules(SafetensorsValues values, string root) => With(
        node => node.Layer is TorchScriptLayer script
            ? script with
            {
                Module = ImmutableCollectionsMarshal.AsImmutableArray(values.Bytes(NameOfModule(root, node.Path))),
            }
            : node.Layer);

    /// <exception cref="InvalidDataException">A value is out of range.</exception>
    internal static NetworkState StateOf(IEnumerable<LayerTensors> layers, SafetensorsValues values) =>
        new(layers.Select(layer => (layer.Path, State: layer.Read(values)))
            .Where(layer => layer.State is not null)
            .Select(layer => KeyValuePair.Create(layer.Path, layer.State!)));

    IEnumerable<(string Path, TorchScriptLayer Layer)> Scripts => Nodes
        .Where(node => node.Layer is TorchScriptLayer)
        .Select(node => (node.Path, (TorchScriptLayer)node.Layer));

    static LayerTensors TensorsOf(NetworkNode node, string root) =>
        new(node.Tensors, $"{root}{node.Path}/", TensorNames.Own, node.Path);

    static string NameOfModule(string root, string path) => $"{root}{path}/module";

    void CheckSavable(NetworkState state)
    {
        CheckState(state);
        if (Fault(state) is { } fault)
            throw new InvalidOperationException($"The state cannot be saved: {fault}");
    }
}
