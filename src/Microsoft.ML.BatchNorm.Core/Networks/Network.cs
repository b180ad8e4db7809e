using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;
using System.IO.Enumeration;
using System.Text;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The definition of a neural network: its layers, what each of them reads, and their names and switches. An immutable
/// value; each method gives a new network. The numbers that a network learns are in a separate
/// <see cref="NetworkState"/>.
/// </summary>
/// <example>
/// <code>
/// Network network = Network.Input(64).Dense(128, useBias: false).BatchNormalization().ReLU().Dropout(0.1).Dense(10);
/// NetworkState state = network.Initialize(seed: 1);
/// </code>
/// </example>
/// <remarks>
/// Two networks are equal if their input shapes, presets and nodes are, names and switches included. A network has at
/// most 20,000 layers; a path has at most 500 characters and 32 levels. The network's input and the output of each
/// layer have at most 2²⁷ values per row (512 MiB). The values that must be in memory at the same time, because layers
/// still read them, are at most four times as many per row.
/// </remarks>
public sealed partial class Network : IEquatable<Network>
{
    internal const int MaxNodes = 20_000, MaxPath = 500, MaxLevels = 32;

    /// <summary>
    /// The most values that a row may have between two layers: 512 MiB, or 64 channels of 1448 × 1448 pixels. Without a
    /// limit, a few bytes of a file could demand any amount of memory, since a convolution with a wide padding has few
    /// weights and a large output. A prediction holds the input and the output of a layer in memory.
    /// </summary>
    internal const int MaxRowSize = 1 << 27;

    /// <summary>
    /// The most values per row that may be in memory at the same time because layers still read them. A chain needs the
    /// input and the output of one layer, each of up to <see cref="MaxRowSize"/> values; a network that branches could
    /// need the output of every layer.
    /// </summary>
    internal const int MaxOpenSize = 4 * MaxRowSize;

    readonly ImmutableArray<NetworkNode> nodes;

    Network(TensorShape inputShape, NetworkPreset? preset, ImmutableArray<NetworkNode> nodes)
    {
        InputShape = inputShape;
        Preset = preset;
        this.nodes = nodes;
        Values = new ValueGraph([.. nodes.Select(node => node.Inputs)]);
    }

    /// <summary>The shape of an input row, without the batch.</summary>
    public TensorShape InputShape { get; }

    /// <summary>
    /// The shape of an output row, without the batch: the output shape of the last node, or the input shape if there is
    /// no node.
    /// </summary>
    public TensorShape OutputShape => nodes.IsEmpty ? InputShape : nodes[^1].Output;

    /// <summary>
    /// The framework whose defaults new layers get; null until <see cref="WithPreset"/> sets it. While it is null,
    /// kernels begin as in Keras, and options that a layer does not set stay null: ε, momentum, kind of statistics and
    /// variance convention of a batch normalization, and the slope of a LeakyReLU. Loading from safetensors fills them
    /// in; what computes with the network while they are null takes Keras's values.
    /// </summary>
    public NetworkPreset? Preset { get; }

    /// <summary>
    /// The layers in the order in which they are computed. Each reads the network's input or outputs of earlier layers.
    /// The output of the last layer is the network's output; later layers read all other outputs.
    /// </summary>
    public IReadOnlyList<NetworkNode> Nodes => nodes;

    /// <summary>Which node reads the outputs of which.</summary>
    internal ValueGraph Values { get; }

    /// <summary>
    /// A network without layers, for rows of the given shape: <c>Input(64)</c>, <c>Input(3, 32, 32)</c>.
    /// </summary>
    /// <param name="shape">The number of features; or channels, height and width.</param>
    /// <exception cref="ArgumentException">
    /// There is no dimension, one is not positive, or a row is too large.
    /// </exception>
    public static Network Input(params ReadOnlySpan<int> shape) => OfNodes(new TensorShape(shape), null, []);

    /// <summary>A network in which each of the given layers reads the one before it.</summary>
    /// <param name="inputShape">The shape of an input row, without the batch.</param>
    /// <param name="layers">
    /// The layers in their order. A layer without a name gets the name that Keras would give it.
    /// </param>
    /// <exception cref="ArgumentException">
    /// Two layers have the same name, or a shape does not fit; the message names the layer.
    /// </exception>
    public static Network Of(TensorShape inputShape, params IEnumerable<Layer> layers)
    {
        ArgumentNullException.ThrowIfNull(inputShape);
        ArgumentNullException.ThrowIfNull(layers);
        return new Draft(inputShape, null).Add(layers).Complete();
    }

    /// <summary>A network of the given nodes, such as those of a file. All rules for networks are checked.</summary>
    /// <param name="inputShape">The shape of an input row, without the batch.</param>
    /// <param name="preset">The framework whose defaults layers get that are added later.</param>
    /// <param name="nodes">
    /// The nodes in topological order: the path; the layer, whose name is empty or the last part of the path; and the
    /// indices of the nodes that it reads, where −1 is the network's input.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A path is malformed or occurs twice, a node reads nothing or a node that is not before it, shapes do not fit, an
    /// output is never read, or a size exceeds the limits; the message names the node.
    /// </exception>
    internal static Network OfNodes(
        TensorShape inputShape, NetworkPreset? preset,
        IEnumerable<(string Path, Layer Layer, ImmutableArray<int> Inputs)> nodes)
    {
        var draft = new Draft(inputShape, preset);
        foreach ((string path, Layer layer, ImmutableArray<int> inputs) in nodes)
        {
            string[] parts = path.Split('/');
            foreach (string part in parts)
            {
                if (Layer.Named(part).Length == 0)
                    throw new ArgumentException($"The path '{path}' has a part without a name.", nameof(nodes));
            }
            if (layer.Name.Length > 0 && layer.Name != parts[^1])
                throw new ArgumentException(
                    $"The layer at the path '{path}' has another name, '{layer.Name}'.", nameof(nodes));
            draft.Add(path, layer with { Name = parts[^1] }, inputs);
        }
        return draft.Complete();
    }

    /// <summary>
    /// This network with another preset: layers that are added from now on, also by appending a network, take the
    /// defaults of <paramref name="preset"/> for the options that they leave null.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    [Pure]
    public Network WithPreset(NetworkPreset preset) =>
        new(InputShape, Check.Defined(preset, nameof(preset)), nodes);

    /// <summary>The node with that path.</summary>
    /// <param name="path">The path of one of <see cref="Nodes"/>.</param>
    /// <exception cref="ArgumentException">
    /// There is no such layer; the message lists the paths of all layers.
    /// </exception>
    public NetworkNode GetNode(string path) =>
        Nodes.FirstOrDefault(node => node.Path == path) ?? throw NoLayer(path);

    /// <summary>
    /// This network with the matching layers frozen: training does not change their parameters, and a frozen batch
    /// normalization stays in inference mode. They stay frozen until <see cref="Unfreeze"/> names them.
    /// </summary>
    /// <param name="patterns">
    /// Paths of layers; or paths of blocks (appended networks, residual blocks, branches), which stand for all layers
    /// in the block. <c>*</c> stands for any characters, <c>?</c> for one.
    /// </param>
    /// <exception cref="ArgumentException">There is no pattern, or one matches no layer.</exception>
    [Pure]
    public Network Freeze(params string[] patterns) => With(patterns, layer => layer with { Trainable = false });

    /// <summary>This network with the matching layers no longer frozen.</summary>
    /// <inheritdoc cref="Freeze"/>
    [Pure]
    public Network Unfreeze(params string[] patterns) => With(patterns, layer => layer with { Trainable = true });

    /// <summary>
    /// This network with other options for the batch normalization layers that the patterns match, such as
    /// <c>options => options with { UpdateStatistics = false }</c>.
    /// </summary>
    /// <param name="change">
    /// Gives the new options from the old ones. The axis cannot change, and a frozen layer stays frozen whatever
    /// <see cref="BatchNormalizationOptions.Trainable"/> is in the new options: use <see cref="Unfreeze"/>.
    /// </param>
    /// <param name="patterns">
    /// Paths of layers; or paths of blocks, which stand for all layers in the block. <c>*</c> stands for any
    /// characters, <c>?</c> for one. Layers of other kinds that match do not change.
    /// </param>
    /// <exception cref="ArgumentException">
    /// There is no pattern, one matches no layer, or the new options contradict each other.
    /// </exception>
    [Pure]
    public Network WithBatchNormalization(
        Func<BatchNormalizationOptions, BatchNormalizationOptions> change, params string[] patterns)
    {
        ArgumentNullException.ThrowIfNull(change);
        return With(patterns, layer => layer is BatchNormalizationLayer normalization
            ? normalization with { Options = Changed(normalization.Options) }
            : layer);

        BatchNormalizationOptions Changed(BatchNormalizationOptions options) =>
            (change(options) ?? throw new ArgumentException("The change gave null for options.", nameof(change)))
                with { Axis = options.Axis };
    }

    /// <summary>
    /// This network with a new head that has <paramref name="outputs"/> outputs. The head is the last layer with a
    /// kernel, if everything passes through it and no layer with parameters follows it. The new one has the same kind
    /// and options but another name, so that <see cref="Initialize(NetworkState, int)"/> takes over all other layers
    /// from a pretrained state and initializes the head. A network that ends in features, such as a ResNet without its
    /// classifier, gets one: the means of the channels if the features are images, and a dense layer.
    /// </summary>
    /// <param name="outputs">The units if the head is a dense layer, the filters if it is a convolution.</param>
    /// <param name="name">
    /// The new layer's name; null for <c>head</c>, or <c>head_1</c> and so on if that name is taken.
    /// </param>
    /// <remarks>
    /// A convolution is a head only if its kernel has size 1 or it gives images of one pixel. Others give features.
    /// </remarks>
    /// <example>
    /// <code>
    /// Network network = Network.Input(64).Dense(128).ReLU().Dense(10);
    /// NetworkState state = network.Initialize(seed: 1);
    /// Network mine = network.WithHead(5);
    /// NetworkState start = mine.Initialize(state, seed: 2);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// The name is taken, or the layers after the head cannot take its output shape.
    /// </exception>
    [Pure]
    public Network WithHead(int outputs, string? name = null)
    {
        Check.Positive(outputs, nameof(outputs));
        HashSet<string> names = [.. Nodes.SelectMany(node => node.Path.Split('/'))];
        if (name is not null && names.Contains(name))
            throw new ArgumentException($"The network has a layer '{name}' already.", nameof(name));
        string head = name ?? "head";
        for (int i = 1; name is null && names.Contains(head); i++)
            head = $"head_{i}";
        if (FindHead() is not { } old)
        {
            Network features = OutputShape.Rank == 1 ? this
                : OutputShape.Rank == 3 ? GlobalAveragePool2D()
                : Flatten();
            return features.Dense(outputs, name: head);
        }
        return With(node => node == nodes[old] ? Replaced(node.Layer) : node.Layer);

        Layer Replaced(Layer layer) => layer switch
        {
            DenseLayer dense => dense with { Units = outputs, Name = head, Trainable = true },
            Conv2DLayer convolution => convolution with { Filters = outputs, Name = head, Trainable = true },
            _ => layer,
        };
    }

    /// <summary>
    /// The index in <see cref="Nodes"/> of the head: the last layer with parameters, if it has a kernel, gives outputs
    /// and not features, and everything passes through it, so that all nodes before it contribute to its input, and
    /// all nodes after it depend on its output. Null if there is none.
    /// </summary>
    internal int? FindHead()
    {
        int last = nodes.Length - 1, earliest = last;
        for (; last >= 0 && !HasState(nodes[last]); last--)
            earliest = Math.Min(earliest, nodes[last].Inputs.Min());
        // No node after it reads an output from before it.
        return last >= 0 && earliest >= last && GivesOutputs(nodes[last]) ? last : null;

        static bool GivesOutputs(NetworkNode node) => node.Layer switch
        {
            DenseLayer => true,
            Conv2DLayer { KernelSize: var size } => size == 1 || node.Output[1] * node.Output[2] == 1,
            _ => false,
        };
    }

    /// <inheritdoc cref="FindHead"/>
    /// <exception cref="ArgumentException">There is no such layer.</exception>
    internal int HeadIndex => FindHead() ?? throw new ArgumentException(
        "The network ends in features and has no head: a dense layer, or a convolution of size 1, that everything passes "
        + "through and that no layer with parameters follows. WithHead adds one.");

    /// <summary>
    /// The part of this network that ends with one of its layers, whose output becomes the network's output: a network
    /// that computes features. <see cref="NetworkState.For"/> gives the part's state.
    /// </summary>
    /// <param name="path">
    /// The path of a layer, such as <c>base/dense</c>, or of a block. Layers that its output does not depend on are
    /// left out.
    /// </param>
    /// <example>
    /// <code>
    /// Network network = Network.Input(64).Dense(128).ReLU().Dense(10);
    /// NetworkState state = network.Initialize(seed: 1);
    /// Network features = network.Until("re_lu");
    /// var model = new NetworkModel(features, state.For(features));
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// There is no such layer or block, and the message lists the paths of all layers; or several outputs of the block
    /// are read outside of it.
    /// </exception>
    [Pure]
    public Network Until(string path)
    {
        bool[] inside = BlockAt(path);
        int[] outputs =
        [
            .. Enumerable.Range(0, nodes.Length).Where(
                i => inside[i] && (Values.ReadersOf(i) == 0 || ReadersAreOutside(i))),
        ];
        return outputs.Length == 1
            ? UntilValue(outputs[0])
            : throw new ArgumentException(
                $"'{path}' has several outputs: {string.Join(", ", outputs.Select(i => nodes[i].Path))}. "
                + "Name one of them.",
                nameof(path));

        bool ReadersAreOutside(int value) =>
            Enumerable.Range(0, nodes.Length).Any(i => !inside[i] && nodes[i].Inputs.Contains(value));
    }

    /// <summary>
    /// The part of this network before one of its layers, to which you can add a new head: what the layer reads becomes
    /// the network's output. <see cref="NetworkState.For"/> gives the part's state.
    /// </summary>
    /// <param name="path">
    /// The path of a layer, such as <c>base/dense</c>, or of a block. Layers that the new output does not depend on are
    /// left out.
    /// </param>
    /// <exception cref="ArgumentException">
    /// There is no such layer or block, and the message lists the paths of all layers; or the layer or block reads
    /// several values.
    /// </exception>
    [Pure]
    public Network Before(string path)
    {
        bool[] inside = BlockAt(path);
        int[] read =
        [
            .. nodes.Where((_, i) => inside[i]).SelectMany(node => node.Inputs)
                .Where(value => value < 0 || !inside[value]).Distinct().Order(),
        ];
        return read.Length == 1
            ? UntilValue(read[0])
            : throw new ArgumentException(
                $"'{path}' reads several values: " +
                $"{string.Join(", ", read.Select(i => i < 0 ? "the input" : nodes[i].Path))}. Cut after one of them "
                + "with Until.",
                nameof(path));
    }

    /// <summary>
    /// The layers that read the network's input, directly or after layers that only move values: a Flatten, a random
    /// flip or crop. In a chain this is the first layer that is none of these.
    /// </summary>
    internal IEnumerable<NetworkNode> FeatureReaders
    {
        get
        {
            var features = new HashSet<int> { ValueGraph.Source };
            for (int i = 0; i < nodes.Length; i++)
            {
                if (!nodes[i].Inputs.Any(features.Contains))
                    continue;
                if (nodes[i].Layer is FlattenLayer or RandomHorizontalFlipLayer or RandomCropLayer)
                    features.Add(i);
                else
                    yield return nodes[i];
            }
        }
    }

    /// <summary>Whether every layer that reads the features accepts values that are not finite.</summary>
    internal bool IgnoresNonFinite =>
        FeatureReaders.Any() && FeatureReaders.All(
            node => node.Layer is BatchNormalizationLayer { Options.NonFinite: NonFinite.Ignore });

    /// <summary>
    /// Whether a feature that is not finite is an error. If not, the network computes outputs from NaN and infinite
    /// values, too.
    /// </summary>
    internal bool NeedsFinite => nodes.Any(
        node => node.Layer is BatchNormalizationLayer { Options.NonFinite: NonFinite.Throw });

    internal static BatchNormalizationOptions OptionsOf(NetworkPreset preset) =>
        preset == NetworkPreset.PyTorch ? BatchNormalizationOptions.PyTorch : BatchNormalizationOptions.Keras;

    /// <summary>
    /// This network with the options filled in that its layers leave null, and with a preset if it has none.
    /// </summary>
    /// <param name="optionsOf">
    /// Gives the options from which those of a batch normalization are filled in, by the layer's path; null leaves the
    /// layer as it is.
    /// </param>
    /// <param name="slopeOf">Gives the slope of a LeakyReLU, by the layer's path.</param>
    /// <param name="preset">The framework whose defaults layers get that are added later.</param>
    internal Network Filled(
        Func<string, BatchNormalizationOptions?> optionsOf, Func<string, double> slopeOf, NetworkPreset preset) =>
        With(node => Filled(node.Layer, optionsOf(node.Path), slopeOf(node.Path))).WithPreset(Preset ?? preset);

    /// <summary>
    /// This network with the options that its layers leave null taken from the layers of another network that have the
    /// same paths.
    /// </summary>
    internal Network FilledFrom(Network other)
    {
        Dictionary<string, Layer> known = other.Nodes.ToDictionary(node => node.Path, node => node.Layer);
        return With(node => known.GetValueOrDefault(node.Path) switch
        {
            BatchNormalizationLayer normalization => Filled(node.Layer, normalization.Options, null),
            ActivationLayer { Function: Activation.LeakyReLU } leaky => Filled(node.Layer, null, leaky.NegativeSlope),
            _ => node.Layer,
        });
    }

    static Layer Filled(Layer layer, BatchNormalizationOptions? options, double? slope) => layer switch
    {
        BatchNormalizationLayer normalization when options is not null =>
            normalization with { Options = normalization.Options.Or(options) },
        ActivationLayer { Function: Activation.LeakyReLU, NegativeSlope: null } leaky =>
            leaky with { NegativeSlope = slope },
        _ => layer,
    };

    Network With(string[] patterns, Func<Layer, Layer> change)
    {
        ArgumentNullException.ThrowIfNull(patterns);
        if (patterns.Length == 0)
            throw new ArgumentException("Name the layers, or give '*' for all.", nameof(patterns));
        foreach (string pattern in patterns)
            ArgumentNullException.ThrowIfNull(pattern, nameof(patterns));
        // Plans name every layer, so that plain names are looked up.
        HashSet<string> plain = [.. patterns.Where(pattern => pattern.AsSpan().IndexOfAny("*?\\") < 0)];
        string[] expressions = [.. patterns.Where(pattern => !plain.Contains(pattern))];
        HashSet<string> unmatched = [.. patterns];
        var chosen = new HashSet<NetworkNode>(ReferenceEqualityComparer.Instance);
        HashSet<string>.AlternateLookup<ReadOnlySpan<char>> names = plain.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (NetworkNode node in nodes)
        {
            string path = node.Path;
            for (int end = path.Length; end > 0; end = path.LastIndexOf('/', end - 1))
            {
                if (names.TryGetValue(path.AsSpan(0, end), out string? name))
                    Choose(node, name);
            }
            foreach (string expression in expressions.Where(expression => Matches(expression, path)))
                Choose(node, expression);
        }
        return Array.Find(patterns, unmatched.Contains) is { } missed
            ? throw new ArgumentException($"'{missed}' matches no layer; {Listed("there are ")}", nameof(patterns))
            : With(node => chosen.Contains(node) ? change(node.Layer) : node.Layer);

        void Choose(NetworkNode node, string pattern)
        {
            chosen.Add(node);
            unmatched.Remove(pattern);
        }
    }

    /// <summary>This network with other layers in its nodes, which may have other names and output shapes.</summary>
    internal Network With(Func<NetworkNode, Layer> change)
    {
        var draft = new Draft(InputShape, Preset);
        foreach (NetworkNode node in nodes)
        {
            Layer layer = change(node);
            draft.Add(node.Path[..^node.Layer.Name.Length] + layer.Name, layer, node.Inputs);
        }
        return draft.Complete();
    }

    /// <summary>
    /// The part of this network whose output is the output of a node, or this network's input for −1.
    /// </summary>
    Network UntilValue(int value)
    {
        bool[] kept = Values.LeadingTo(i => i == value);
        var places = new Dictionary<int, int> { [ValueGraph.Source] = ValueGraph.Source };
        var draft = new Draft(InputShape, Preset);
        for (int i = 0; i < nodes.Length; i++)
        {
            if (kept[i])
                places[i] = draft.Add(nodes[i].Path, nodes[i].Layer, [.. nodes[i].Inputs.Select(input => places[input])]);
        }
        return draft.Complete();
    }

    /// <summary>For each node, whether it has that path or lies in the block of that path.</summary>
    bool[] BlockAt(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        bool[] inside = [.. nodes.Select(
            node => node.Path == path || node.Path.StartsWith(path + "/", StringComparison.Ordinal))];
        return inside.Contains(true) ? inside : throw NoLayer(path);
    }

    ArgumentException NoLayer(string path) =>
        new($"The network has no layer '{path}'; {Listed("it has ")}", nameof(path));

    string Listed(string verb) =>
        Nodes.Count == 0 ? "it is empty." : $"{verb}{Check.List([.. Nodes.Select(node => node.Path)])}.";

    /// <summary>Whether the pattern matches the path, or the path of a block around it.</summary>
    static bool Matches(string pattern, string path)
    {
        for (int end = path.Length; end > 0; end = path.LastIndexOf('/', end - 1))
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, path.AsSpan(0, end), ignoreCase: false))
                return true;
        }
        return false;
    }

    /// <inheritdoc/>
    public bool Equals(Network? other) =>
        other is not null && Preset == other.Preset && InputShape.Equals(other.InputShape)
        && nodes.AsSpan().SequenceEqual(other.nodes.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Network);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(InputShape);
        hash.Add(Preset);
        foreach (NetworkNode node in nodes)
            hash.Add(node);
        return hash.ToHashCode();
    }

    /// <summary>
    /// A new state, in which every layer has the values of its initializers. The same seed gives the same values.
    /// </summary>
    /// <param name="seed">
    /// The seed of the random initializers. A layer's values depend only on the seed, its path and its shapes, not on
    /// the layers around it. The initializers of a batch normalization have seeds of their own.
    /// </param>
    public NetworkState Initialize(int seed = 0) => new(
        Nodes.Select(node => (node.Path, State: node.Layer.Initialize(node.Input, new Random(SeedOf(node.Path, seed)))))
            .Where(entry => entry.State is not null)
            .Select(entry => KeyValuePair.Create(entry.Path, entry.State!)));

    /// <summary>
    /// A new state that takes over the layers of another state that have the same path and shapes, and initializes all
    /// other layers: the first step of fine-tuning with a new head.
    /// </summary>
    /// <param name="from">The state to take over from.</param>
    /// <param name="seed">The seed of the layers that are initialized.</param>
    [Pure]
    public NetworkState Initialize(NetworkState from, int seed = 0) => Initialize(from, seed, out _);

    /// <inheritdoc cref="Initialize(NetworkState, int)"/>
    /// <param name="from">The state to take over from.</param>
    /// <param name="seed">The seed of the layers that are initialized.</param>
    /// <param name="takenOver">The paths of the layers that were taken over, in the order of the nodes.</param>
    public NetworkState Initialize(NetworkState from, int seed, out IReadOnlyList<string> takenOver)
    {
        ArgumentNullException.ThrowIfNull(from);
        string[] paths = [.. Nodes.Where(Fits).Select(node => node.Path)];
        takenOver = paths;
        return paths.Aggregate(Initialize(seed), (state, path) => state.With(path, from[path]));

        bool Fits(NetworkNode node) => from.TryGet(node.Path) is { } known && Misfit(node, known) is null;
    }

    /// <summary>
    /// Checks that a state has every layer of this network, with the same shapes, and no other layer.
    /// </summary>
    /// <param name="state">The state.</param>
    /// <exception cref="ArgumentException">
    /// The state does not fit; the message names every layer that differs.
    /// </exception>
    public void CheckState(NetworkState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        var faults = new List<string>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (NetworkNode node in Nodes)
        {
            if (node.Tensors.Any())
                known.Add(node.Path);
            if (known.Contains(node.Path) && state.TryGet(node.Path) is { } layer)
                faults.AddRange(Misfit(node, layer) is { } misfit ? [$"'{node.Path}' {misfit}"] : []);
            else if (HasState(node))
                faults.Add($"'{node.Path}' is missing");
        }
        string[] others = [.. state.Paths.Where(path => !known.Contains(path)).Order(StringComparer.Ordinal)];
        faults.AddRange(others.Select(path => $"'{path}' is not a layer of the network with parameters"));
        if (faults.Count == 0)
            return;
        string way = faults.Count == others.Length ? " NetworkState.For leaves such layers out." : "";
        throw new ArgumentException(
            $"The state does not fit the network: {string.Join("; ", faults)}.{way}", nameof(state));
    }

    /// <summary>Whether a layer must have a state. A TorchScript layer has one only after it was trained.</summary>
    internal static bool HasState(NetworkNode node) => node.Tensors.Any(tensor => !tensor.IsOptional);

    static int SeedOf(string path, int seed)
    {
        // FNV-1a over the path. It is mixed since Random gives similar first numbers for similar seeds.
        ulong hash = 0xCBF29CE484222325 ^ (uint)seed;
        foreach (char character in path)
            hash = unchecked((hash ^ character) * 0x100000001B3);
        return (int)(RandomNumbers.Mix(hash) & int.MaxValue);
    }

    /// <summary>
    /// Describes the first layer whose state does not fit or has a value out of range; null if there is none.
    /// </summary>
    internal string? Fault(NetworkState state)
    {
        foreach (NetworkNode node in Nodes)
        {
            if (state.TryGet(node.Path) is not { } layer)
                continue;
            if (Misfit(node, layer) is { } misfit)
                return $"Layer '{node.Path}' {misfit}.";
            string? fault = layer.BatchNormalization is { } normalization
                ? BatchNormalizationTensors.FaultOf(normalization, name => name)
                : layer.Names.Select(name => layer.TryGet(name, out ReadOnlySpan<float> values)
                    ? LayerState.Fault(values, name)
                    : null).FirstOrDefault(fault => fault is not null);
            if (fault is not null)
                return $"Layer '{node.Path}': {fault}";
        }
        return null;
    }

    /// <summary>Describes how a layer's state does not fit the layer; null if it fits.</summary>
    internal static string? Misfit(NetworkNode node, LayerState state)
    {
        TensorSpec[] needed = [.. node.Tensors.Where(tensor => !tensor.IsOptional)];
        HashSet<string> names = [.. node.Tensors.Select(tensor => tensor.Name)];
        if (names.Count == 0)
            return "has a state; the layer has no parameters";
        if (!state.Names.Any(names.Contains))
            return $"has {string.Join(", ", state.Names)}; a {node.Layer.Kind} has "
                + $"{string.Join(", ", needed.Length > 0 ? needed.Select(tensor => tensor.Name) : names)}";
        foreach (TensorSpec tensor in node.Tensors)
        {
            int length = state.LengthOf(tensor.Name);
            if (length == 0 && tensor.IsOptional)
                continue;
            if (tensor.Shape is { } shape && length != shape.Size)
                return $"has {length} values of {tensor.Name} instead of {shape.Size}";
            if (!state.Has(tensor.Name, tensor.Type))
                return $"has values of another type than {tensor.Type} in {tensor.Name}";
        }
        return state.Names.FirstOrDefault(name => !names.Contains(name)) is { } unknown
            ? $"has {state.LengthOf(unknown)} values of {unknown} instead of 0"
            : null;
    }

    /// <summary>
    /// A table as <c>keras.Model.summary(show_trainable=True)</c> prints it: each layer's path and kind, its output
    /// shape, its number of parameters (with a batch normalization's moving statistics), and which of them training
    /// changes; the totals follow. A network that branches has one more column: what each layer reads.
    /// </summary>
    public string Summary()
    {
        bool branches = nodes.Where((node, i) => !node.Inputs.SequenceEqual([i - 1])).Any();
        string[] titles = ["Layer (type)", "Output Shape", "Param #", "Trainable", .. Branch("Connected to")];
        string[][] rows = [.. Nodes.Select(string[] (node) =>
        [
            $"{node.Path} ({node.Layer.Kind})",
            $"(None, {node.Output.ToString()[1..^1]})",
            Number(node.ParameterCount),
            node.ParameterCount == 0 ? "-" : Switches(node),
            .. Branch(string.Join(", ", node.Inputs.Select(i => i < 0 ? "-" : Nodes[i].Path))),
        ])];
        int[] widths = [.. titles.Select((title, i) => rows.Select(row => row[i].Length).Append(title.Length).Max())];

        var text = new StringBuilder();
        Line(text, titles, widths);
        text.AppendJoin("  ", widths.Select(width => new string('-', width))).AppendLine();
        foreach (string[] row in rows)
            Line(text, row, widths);
        long total = Nodes.Sum(node => node.ParameterCount), trainable = Nodes.Sum(node => node.TrainableCount);
        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"Total params: {Number(total)}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Trainable params: {Number(trainable)}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Non-trainable params: {Number(total - trainable)}");
        return text.ToString();

        string[] Branch(string cell) => branches ? [cell] : [];
    }

    /// <summary>Returns <see cref="Summary"/>.</summary>
    public override string ToString() => Summary();

    /// <summary>Says which parameters of a layer training changes, for the summary.</summary>
    internal static string Switches(NetworkNode node)
    {
        TensorSpec[] parameters = [.. node.Tensors.Where(tensor => tensor.Role != TensorRole.Other)],
            trained = [.. parameters.Where(tensor => tensor.IsTrained)];
        if (!node.IsTrainable)
            return "no";
        return trained.Length == parameters.Length
            ? "yes"
            : string.Join(", ", trained.Select(tensor => tensor.IsLearned ? tensor.Name : "statistics").Distinct());
    }

    static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    static void Line(StringBuilder text, string[] cells, int[] widths)
    {
        for (int i = 0; i < cells.Length; i++)
        {
            string cell = i == 2 ? cells[i].PadLeft(widths[i]) : cells[i].PadRight(widths[i]);
            text.Append(i == 0 ? "" : "  ").Append(i == cells.Length - 1 ? cell.TrimEnd() : cell);
        }
        text.AppendLine();
    }
}
