using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

[JsonConverter(typeof(NetworkConverter))]
public sealed partial class Network
{
    /// <summary>Writes the network and every bit of its state as a safetensors file.</summary>
    /// <param name="stream">
    /// Written from its current position, neither flushed nor closed. Several networks may follow one another, and
    /// other data may surround them.
    /// </param>
    /// <param name="state">A state of this network.</param>
    /// <remarks>
    /// <para>
    /// The name of a tensor is the path of its layer and its own name: <c>base/dense/kernel</c>. The metadata has the
    /// network as JSON (layers with their options, initializers, names and switches), and a checksum by which loading
    /// detects any damage. <c>docs/internals/files.md</c> describes the format. <see cref="SaveSafetensors"/> writes the
    /// names that Keras and PyTorch know.
    /// </para>
    /// <para>Every later version of this library can read the file.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">
    /// The state does not fit this network; the message names every layer that differs.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The file could not be loaded again: a value is not finite or out of range, as after training that diverged, or
    /// definition and names take more than 100 MB. Nothing was written.
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
    /// Reads a network that <see cref="Save"/> wrote. Network and state equal the saved ones bit for bit.
    /// </summary>
    /// <param name="stream">Read to the network's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are detected. Memory grows with the bytes that arrive, not with the lengths that the file
    /// claims.
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

    /// <summary>Makes the network that a file defines.</summary>
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

    /// <summary>
    /// Writes a state's weights as a safetensors file with the names of Keras or PyTorch, which Python's frameworks
    /// read.
    /// </summary>
    /// <param name="stream">Written from its current position, neither flushed nor closed.</param>
    /// <param name="state">A state of this network.</param>
    /// <param name="naming">The framework whose names and layouts the tensors get.</param>
    /// <param name="prefix">
    /// Gives, for the path of a layer, what the names of its tensors begin with, or null to leave the layer out;
    /// <see cref="SequentialName"/>, for example. Default: the path, with dots for PyTorch.
    /// </param>
    /// <remarks>
    /// <para>
    /// PyTorch: <c>base.dense.weight</c> of shape [units, inputs] or [filters, channels, height, width], <c>bias</c>,
    /// and for a batch normalization the names in <see cref="TensorNaming.PyTorch"/>. Keras: <c>base/dense/kernel</c>
    /// of shape [inputs, units] or [height, width, channels, filters], <c>bias</c>, and the names in
    /// <see cref="TensorNaming.Keras"/>. Keras flattens an image channels last, so that the inputs of a dense layer and
    /// the features of a batch normalization after a <see cref="FlattenLayer"/> are put in that order.
    /// </para>
    /// <para>
    /// Kernels, biases, γ and β are F32, statistics F64. The metadata has the options and the population of each batch
    /// normalization, the slope of each LeakyReLU, and the preset. Values for which the framework has no name are not
    /// written: <see cref="BatchNormalizationState.InitialWeight"/>, and with Keras's names the number of batches;
    /// TorchScript layers are not written either. <see cref="Save"/> keeps everything. The file has the checksum that
    /// <see cref="BatchNormalizationState.SaveSafetensors"/> describes.
    /// </para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream or the state is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The naming is not defined.</exception>
    /// <exception cref="ArgumentException">
    /// The state does not fit this network; two layers get the same names; a prefix has half a surrogate pair or more
    /// than a million characters; or a layer has renormalization, for which PyTorch has no names.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after training that diverged, or names and options take more than 100
    /// MB. Nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void SaveSafetensors(
        Stream stream, NetworkState state, TensorNaming naming = TensorNaming.PyTorch,
        Func<string, string?>? prefix = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable(state);
        ExpectedTensors tensors = Tensors(naming, prefix);
        Dictionary<string, BatchNormalizationOptions> options = NormalizationOptions;
        if (naming == TensorNaming.PyTorch && tensors.Layers.FirstOrDefault(
            layer => options.GetValueOrDefault(layer.Path)?.Renorm is not null) is { } renorm)
            throw new ArgumentException(
                $"Layer '{renorm.Path}' has renormalization, for which PyTorch has no names; Keras has.",
                nameof(naming));
        var definition = new WeightsDefinition(
            Preset ?? NetworkPreset.Keras, [], LeakyLayers.ToDictionary(
                leaky => leaky.Path, leaky => leaky.Layer.EffectiveSlope), []);
        foreach (LayerTensors layer in tensors.Layers)
        {
            if (options.GetValueOrDefault(layer.Path) is { } said)
                definition.Options.Add(layer.Prefix, said.Or(BatchNormalizationOptions.Keras));
            if (layer.Population(state[layer.Path]) is { } population)
                definition.Populations.Add(layer.Prefix, population);
        }
        SafetensorsWriter.Write(
            stream, FileKind.Weights, Definition.ToText(definition),
            tensors.Layers.SelectMany(layer => layer.Write(state[layer.Path])));
    }

    /// <summary>
    /// Reads this network's weights from a safetensors file, such as that of a pretrained network. Returns them with
    /// the network, in which the options that were null are filled in for the layers that the file has.
    /// </summary>
    /// <param name="stream">Read to its end, where the file must end too. It need not be able to seek.</param>
    /// <param name="naming">
    /// The framework whose names and layouts the tensors have, as <see cref="SaveSafetensors"/> describes.
    /// </param>
    /// <param name="prefix">
    /// Gives, for the path of a layer, what the names of its tensors begin with, or null for a layer that the file does
    /// not have; <see cref="SequentialName"/>, for example. Default: the path, with dots for PyTorch.
    /// </param>
    /// <param name="onto">
    /// A state of this network, from which layers are taken that have no tensor in the file. If it is null, the file
    /// must have all layers.
    /// </param>
    /// <param name="rename">
    /// Gives, for the name of a tensor in the file, the name that <paramref name="naming"/> and
    /// <paramref name="prefix"/> ask for: <c>name => name.Replace("gamma", "weight")</c>, for example. Default: the
    /// name in the file.
    /// </param>
    /// <param name="unexpected">
    /// Whether tensors that do not belong to this network are an error or are left out, such as a head that it does not
    /// have. <see cref="SavedNetwork.IgnoredTensors"/> names those that were left out.
    /// </param>
    /// <remarks>
    /// <para>
    /// A file that this library wrote states the options of each batch normalization, the slope of each LeakyReLU and
    /// the preset; in another file, the names imply those of PyTorch or Keras. They fill in what is null in this
    /// network: ε, momentum, kind of statistics and variance convention of a batch normalization, the slope of a
    /// LeakyReLU, and the preset. An option that the network sets wins over one that names imply. If the file itself
    /// states another value, that is an error.
    /// </para>
    /// Values may be F64, F32, F16 or BF16, and kernels, biases, γ and β are rounded to float.
    /// <c>num_batches_tracked</c> may be missing. Renormalization, for which PyTorch has no names, begins at the moving
    /// statistics. If you need only the first layers of a network, load them by <see cref="Until"/> and
    /// <see cref="UnexpectedTensors.Ignore"/>, or load all of it, and give its state to
    /// <see cref="Initialize(NetworkState, int)"/> of your own network. Memory grows with the bytes that arrive, not
    /// with the lengths that the file claims. A file that this library wrote has a checksum; another file has none, and
    /// changed values in it are not detected.
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The value of an enumeration is not defined.</exception>
    /// <exception cref="ArgumentException">
    /// <paramref name="onto"/> does not fit this network; two layers get the same names; a prefix has half a surrogate
    /// pair or more than a million characters; a layer gets no name and <paramref name="onto"/> is null; or
    /// <paramref name="rename"/> gives null.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// The file is not a safetensors file, is truncated or damaged, or has a value that is not finite or out of range;
    /// its tensors are not those of this network, and the message lists those that are missing, unexpected, or of
    /// another shape or dtype; it has none of them; two tensors are renamed to one name; or it states another value for
    /// an option that this network sets.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public SavedNetwork LoadSafetensors(
        Stream stream, TensorNaming naming = TensorNaming.PyTorch, Func<string, string?>? prefix = null,
        NetworkState? onto = null, Func<string, string>? rename = null,
        UnexpectedTensors unexpected = UnexpectedTensors.Throw)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return LoadSafetensors(
            () => new SafetensorsFiles(new SafetensorsReader(stream, rename)), naming, prefix, onto, unexpected);
    }

    /// <summary>
    /// Reads this network's weights from a safetensors file, or from the several files that an index names, such as
    /// Hugging Face's <c>model.safetensors.index.json</c>.
    /// </summary>
    /// <param name="path">
    /// The path of the file; or, ending in <c>.json</c>, that of an index. The files that the index names must be in
    /// its folder. Of a file without a tensor of this network only the header is read.
    /// </param>
    /// <param name="naming">The framework whose names and layouts the tensors have.</param>
    /// <param name="prefix">
    /// Gives, for the path of a layer, what the names of its tensors begin with, or null for a layer that is not there.
    /// </param>
    /// <param name="onto">A state of this network, from which layers are taken that have no tensor there.</param>
    /// <param name="rename">
    /// Gives, for the name of a tensor in its file, the name that <paramref name="naming"/> and
    /// <paramref name="prefix"/> ask for.
    /// </param>
    /// <param name="unexpected">
    /// Whether tensors that do not belong to this network are an error or are left out.
    /// </param>
    /// <remarks>It loads as from a stream. The files of an index must be those of another program.</remarks>
    /// <exception cref="ArgumentNullException">The path is null.</exception>
    /// <exception cref="ArgumentException">An argument is wrong, as for a stream.</exception>
    /// <exception cref="InvalidDataException">
    /// A file is wrong, as for a stream; or the index is not JSON, names a file that is not there, is not in its folder
    /// or does not end in <c>.safetensors</c>, or has a tensor in another file than the one in which it is.
    /// </exception>
    /// <exception cref="IOException">The file or the index cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or the index must not be read.</exception>
    public SavedNetwork LoadSafetensors(
        string path, TensorNaming naming = TensorNaming.PyTorch, Func<string, string?>? prefix = null,
        NetworkState? onto = null, Func<string, string>? rename = null,
        UnexpectedTensors unexpected = UnexpectedTensors.Throw)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (SafetensorsIndex.IsIndex(path))
            return LoadSafetensors(() => SafetensorsIndex.Open(path, rename), naming, prefix, onto, unexpected);
        using FileStream file = File.OpenRead(path);
        return LoadSafetensors(file, naming, prefix, onto, rename, unexpected);
    }

    SavedNetwork LoadSafetensors(
        Func<SafetensorsFiles> open, TensorNaming naming, Func<string, string?>? prefix, NetworkState? onto,
        UnexpectedTensors unexpected)
    {
        Check.Defined(unexpected, nameof(unexpected));
        if (onto is not null)
            CheckState(onto);
        ExpectedTensors tensors = Tensors(naming, prefix);
        if (onto is null && tensors.WithoutName.Count > 0)
            throw new ArgumentException(
                $"The prefix gives no name to the layers {string.Join(", ", tensors.WithoutName)}, and there is no "
                + "state to keep them from: give one, such as onto: network.Initialize(seed).", nameof(onto));

        using SafetensorsFiles files = open();
        WeightsDefinition? stated = files.Definition;
        List<LayerTensors> there = tensors.Match(files.Header, allowMissing: onto is not null, unexpected);
        Dictionary<string, string> prefixes = there.ToDictionary(
            layer => layer.Path, layer => layer.PrefixIn(files.Header), StringComparer.Ordinal);
        SafetensorsValues values = files.Read(tensors.Needs);
        foreach (LayerTensors layer in there)
            layer.AddPopulation(stated?.Populations.GetValueOrDefault(prefixes[layer.Path]), values);
        var loaded = there.ToDictionary(layer => layer.Path, layer => layer.Read(values), StringComparer.Ordinal);
        var state = new NetworkState(Nodes.Where(node => HasState(node) || onto?.TryGet(node.Path) is not null)
            .Select(node => KeyValuePair.Create(
                node.Path, loaded.GetValueOrDefault(node.Path) ?? onto![node.Path])));

        NetworkPreset names = naming == TensorNaming.PyTorch ? NetworkPreset.PyTorch : NetworkPreset.Keras;
        Dictionary<string, BatchNormalizationOptions> said = NormalizationOptions;
        var options = there.Where(layer => said.ContainsKey(layer.Path)).ToDictionary(
            layer => layer.Path,
            layer => (Stated(layer.Path, said[layer.Path], stated?.Options.GetValueOrDefault(prefixes[layer.Path]))
                ?? new()).Or(OptionsOf(names)), StringComparer.Ordinal);
        foreach ((string path, ActivationLayer leaky) in LeakyLayers)
            Compare(path, leaky.NegativeSlope, SlopeOf(path), nameof(leaky.NegativeSlope));
        NetworkPreset preset = stated?.Preset ?? names;
        Network filled = Filled(
            path => options.GetValueOrDefault(path),
            path => SlopeOf(path) ?? ActivationLayer.SlopeOf(preset), preset);
        return new SavedNetwork(filled, state) { IgnoredTensors = [.. tensors.Unexpected(files.Header)] };

        double? SlopeOf(string path) =>
            stated?.Slopes.TryGetValue(path, out double slope) == true ? slope : null;
    }

    Dictionary<string, BatchNormalizationOptions> NormalizationOptions => Nodes
        .Where(node => node.Layer is BatchNormalizationLayer)
        .ToDictionary(node => node.Path, node => ((BatchNormalizationLayer)node.Layer).Options, StringComparer.Ordinal);

    IEnumerable<(string Path, ActivationLayer Layer)> LeakyLayers => Nodes
        .Where(node => node.Layer is ActivationLayer { Function: Activation.LeakyReLU })
        .Select(node => (node.Path, (ActivationLayer)node.Layer));

    /// <summary>
    /// The options that the file states for a layer. They must not contradict those that the layer sets.
    /// </summary>
    static BatchNormalizationOptions? Stated(
        string path, BatchNormalizationOptions said, BatchNormalizationOptions? stated)
    {
        if (stated is null)
            return null;
        Compare(path, said.Epsilon, stated.Epsilon, nameof(stated.Epsilon));
        Compare(path, said.Momentum, stated.Momentum, nameof(stated.Momentum));
        Compare(path, said.MovingStatistics, stated.MovingStatistics, nameof(stated.MovingStatistics));
        Compare(path, said.VarianceConvention, stated.VarianceConvention, nameof(stated.VarianceConvention));
        try
        {
            said.Or(stated).Validate();
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException(
                $"Layer '{path}' does not fit what the file states: {Check.Text(error)}", error);
        }
        return stated;
    }

    /// <exception cref="InvalidDataException">The layer sets another value than the file states.</exception>
    static void Compare<T>(string path, T? said, T? inFile, string option) where T : struct
    {
        if (said is { } value && inFile is { } other && !value.Equals(other))
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture,
                $"Layer '{path}' has {option} = {value}, and the file states {other}. Leave it null in the network "
                + $"to take the file's; you can change it afterwards."));
    }

    /// <summary>
    /// The name that PyTorch gives a layer if the network is an <c>nn.Sequential</c>: its index among the layers, from
    /// 0, after the indices of the blocks around it: <c>3</c> or <c>0.2</c>. Pass this method as the prefix of
    /// <c>LoadSafetensors</c> and <see cref="SaveSafetensors"/>.
    /// </summary>
    /// <param name="path">The path of one of <see cref="Nodes"/>.</param>
    /// <exception cref="ArgumentException">There is no such layer.</exception>
    public string SequentialName(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        GetNode(path);
        var places = new List<int>();
        string block = "";
        foreach (string name in path.Split('/'))
        {
            string[] names = [.. nodes.Where(node => node.Path.StartsWith(block, StringComparison.Ordinal))
                .Select(node => node.Path[block.Length..].Split('/')[0]).Distinct()];
            places.Add(Array.IndexOf(names, name));
            block += name + "/";
        }
        return string.Join('.', places);
    }

    ExpectedTensors Tensors(TensorNaming naming, Func<string, string?>? prefix)
    {
        Check.Defined(naming, nameof(naming));
        return new ExpectedTensors(
            this, naming, prefix ?? (path => naming == TensorNaming.PyTorch ? path.Replace('/', '.') : path));
    }
}

/// <summary>What loading does with tensors that a file has and the network does not.</summary>
public enum UnexpectedTensors
{
    /// <summary>They are an error that names them. The default.</summary>
    Throw,

    /// <summary>
    /// They are left out, and <see cref="SavedNetwork.IgnoredTensors"/> names them: an old head, moving averages of the
    /// weights, layers behind those that are loaded.
    /// </summary>
    Ignore,
}
