using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;
using System.IO.Enumeration;

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
    /// kernel that everything passes through. The new one has the same kind and options but another name, so that
    /// <see cref="Initialize(NetworkState, int)"/> takes over all other layers from a pretrained state and initializes
    /// the head.
    /// </summary>
    /// <param name="outputs">The units if the head is a dense layer, the filters if it is a convolution.</param>
    /// <param name="name">
    /// The new layer's name; null for <c>head</c>, or <c>head_1</c> and so on if that name is taken.
    /// </param>
    /// <example>
    /// <code>
    /// Network mine = pretrained.WithHead(5);
    /// NetworkState state = mine.Initialize(pretrainedState, seed: 1);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// There is no layer with a kernel that everything passes through, the name is taken, or the layers after the head
    /// cannot take its output shape.
    /// </exception>
    [Pure]
    public Network WithHead(int outputs, string? name = null)
    {
        Check.Positive(outputs, nameof(outputs));
        NetworkNode old = Nodes[HeadIndex];
        HashSet<string> names = [.. Nodes.SelectMany(node => node.Path.Split('/'))];
        if (name is not null && names.Contains(name))
            throw new ArgumentException($"The network has a layer '{name}' already.", nameof(name));
        string head = name ?? "head";
        for (int i = 1; name is null && names.Contains(head); i++)
            head = $"head_{i}";
        return With(node => node == old ? Replaced(node.Layer) : node.Layer);

        Layer Replaced(Layer layer) => layer switch
        {
            DenseLayer dense => dense with { Units = outputs, Name = head, Trainable = true },
            Conv2DLayer convolution => convolution with { Filters = outputs, Name = head, Trainable = true },
            _ => layer,
        };
    }

    /// <summary>
    /// The index in <see cref="Nodes"/> of the head: the last layer with a kernel that everything passes through, so
    /// that all nodes before it contribute to its input, and all nodes after it depend on its output. Null if there is
    /// none.
    /// </summary>
    internal int? FindHead()
    {
        for (int i = nodes.Length - 1, earliest = i; i >= 0; i--)
        {
            // No node after this one reads an output from before it.
            if (earliest >= i && nodes[i].Layer is DenseLayer or Conv2DLayer)
                return i;
            earliest = Math.Min(earliest, nodes[i].Inputs.Min());
        }
        return null;
    }

    /// <inheritdoc cref="FindHead"/>
    /// <exception cref="ArgumentException">There is no such layer.</exception>
    internal int HeadIndex => FindHead() ?? throw new ArgumentException(
        Nodes.Any(node => node.Layer is DenseLayer or Conv2DLayer)
            ? "The network has no layer with a kernel through which everything goes, and so no head."
            : "The network has no layer with a kernel, and so no head.");

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
    /// Network features = network.Until("base/re_lu");
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
    /// The layers that read the network's input, directly or after a Flatten. In a chain this is the first layer that
    /// is not a Flatten.
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
                if (nodes[i].Layer is FlattenLayer)
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
    Network With(Func<NetworkNode, Layer> change)
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

    /// <summary>A network while nodes are added. Each addition is checked against the rules for networks.</summary>
    sealed class Draft
    {
        readonly TensorShape inputShape;
        readonly NetworkPreset? preset;
        readonly ImmutableArray<NetworkNode>.Builder nodes = ImmutableArray.CreateBuilder<NetworkNode>();
        readonly HashSet<string> paths = new(StringComparer.Ordinal), blocks = new(StringComparer.Ordinal);

        // The first number of each default name that may be free: lower ones are taken, and none becomes free again.
        readonly Dictionary<string, int> numbers = new(StringComparer.Ordinal);

        public Draft(TensorShape inputShape, NetworkPreset? preset)
        {
            if (inputShape.Size > MaxRowSize)
                throw new ArgumentException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The network's input of {inputShape} takes {inputShape.Size * (long)sizeof(float):N0} bytes per "
                    + $"row, more than the {MaxRowSize * (long)sizeof(float):N0} that are allowed."));
            (this.inputShape, this.preset) = (inputShape, preset);
        }

        public Draft(Network network)
            : this(network.InputShape, network.Preset)
        {
            foreach (NetworkNode node in network.nodes)
            {
                Take(node.Path);
                nodes.Add(node);
            }
        }

        /// <summary>
        /// The index of the last node, which the next layer reads; −1, the network's input, if there is none.
        /// </summary>
        public int Last => nodes.Count - 1;

        public Draft Add(IEnumerable<Layer> layers)
        {
            foreach (Layer layer in layers)
            {
                ArgumentNullException.ThrowIfNull(layer);
                string name = FreeName(layer.Name, layer.DefaultName);
                Add(name, Filled(layer with { Name = name }), [Last]);
            }
            return this;
        }

        /// <summary>Adds the nodes of a network as a block.</summary>
        /// <param name="path">The path of the block, with which the paths of the nodes begin.</param>
        /// <param name="kind">The kind of block, for a message.</param>
        /// <param name="network">The network. One without layers adds nothing.</param>
        /// <param name="value">The index of the node whose output the block reads.</param>
        /// <returns>The index of the node whose output is the block's.</returns>
        public int Add(string path, string kind, Network network, int value)
        {
            if (!network.InputShape.Equals(ShapeOf(value)))
                throw new ArgumentException(
                    $"Layer '{path}' ({kind}) has an input of shape {ShapeOf(value)}; it needs {network.InputShape}.");
            int first = nodes.Count;
            foreach (NetworkNode node in network.nodes)
                Add(
                    $"{path}/{node.Path}", Filled(node.Layer),
                    [.. node.Inputs.Select(input => input < 0 ? value : first + input)]);
            return network.nodes.IsEmpty ? value : Last;
        }

        public int Add(string path, Layer layer, ImmutableArray<int> inputs)
        {
            if (inputs.IsDefaultOrEmpty || inputs.Any(input => input < ValueGraph.Source || input >= nodes.Count))
                throw new ArgumentException(
                    $"Layer '{path}' must read the network's input, -1, or earlier layers, 0 to {Last}"
                    + (inputs.IsDefaultOrEmpty ? "." : $", not {Check.List(inputs)}."));
            ImmutableArray<TensorShape> shapes = [.. inputs.Select(ShapeOf)];
            TensorShape output = layer.OutputShape(shapes);
            layer.CheckRow(shapes, "output", [.. output.Dimensions]);
            Take(path);
            if (nodes.Count == MaxNodes)
                throw new ArgumentException($"A network has at most {MaxNodes} layers.");
            nodes.Add(new NetworkNode(path, layer, inputs, shapes, output));
            return Last;
        }

        public Network Complete()
        {
            var network = new Network(inputShape, preset, nodes.ToImmutable());
            long open = inputShape.Size;
            for (int i = 0; i < nodes.Count; i++)
            {
                if (network.Values.ReadersOf(i) == 0 && i < Last)
                    throw new ArgumentException(
                        $"No layer reads '{nodes[i].Path}', and it is not the last layer, whose output is the "
                        + "network's.");
                open += nodes[i].Output.Size;
                if (open > MaxOpenSize)
                    throw new ArgumentException(string.Create(
                        CultureInfo.InvariantCulture,
                        $"The values that are still to be read at layer '{nodes[i].Path}' take "
                        + $"{open * sizeof(float):N0} bytes per row, more than the "
                        + $"{(long)MaxOpenSize * sizeof(float):N0} that are allowed."));
                foreach (int value in nodes[i].Inputs.Distinct())
                    open -= network.Values.LastReaderOf(value) == i ? ShapeOf(value).Size : 0;
            }
            return network;
        }

        /// <summary>
        /// The given name of a new layer or block at the top level, which must be free; if it is empty, a free name.
        /// </summary>
        public string FreeName(string given, string otherwise)
        {
            if (given.Length > 0)
                return paths.Contains(given) || blocks.Contains(given)
                    ? throw new ArgumentException($"The network has a layer '{given}' already.")
                    : given;
            int number = numbers.GetValueOrDefault(otherwise);
            string free;
            do
            {
                free = number == 0 ? otherwise : $"{otherwise}_{number}";
                number++;
            }
            while (paths.Contains(free) || blocks.Contains(free));
            numbers[otherwise] = number;
            return free;
        }

        TensorShape ShapeOf(int value) => value < 0 ? inputShape : nodes[value].Output;

        Layer Filled(Layer layer) =>
            preset is { } known ? Network.Filled(layer, OptionsOf(known), ActivationLayer.SlopeOf(known)) : layer;

        void Take(string path)
        {
            if (path.Length > MaxPath)
                throw new ArgumentException(
                    $"The path '{path.AsSpan(0, 40)}…' has {path.Length} characters; {MaxPath} are allowed.");
            int levels = path.AsSpan().Count('/') + 1;
            if (levels > MaxLevels)
                throw new ArgumentException(
                    $"The path '{path.AsSpan(0, Math.Min(path.Length, 40))}…' has {levels} levels; {MaxLevels} are "
                    + "allowed.");
            if (blocks.Contains(path) || !paths.Add(path))
                throw new ArgumentException($"The network has a layer '{path}' already.");
            for (int end = path.IndexOf('/'); end >= 0; end = path.IndexOf('/', end + 1))
            {
                string block = path[..end];
                if (paths.Contains(block))
                    throw new ArgumentException($"The network has a layer '{block}' already.");
                blocks.Add(block);
            }
        }
    }
}
