using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;
using System.IO.Enumeration;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Layers and what each of them reads: what they compute, their names and their switches. An immutable value; each
/// method gives a new network. The numbers that it learns are beside it, in a <see cref="NetworkState"/>.
/// </summary>
/// <example>
/// <code>
/// Network network = Network.Input(64).Dense(128, useBias: false).BatchNormalization().ReLU().Dropout(0.1).Dense(10);
/// NetworkState state = network.Initialize(seed: 1);
/// </code>
/// </example>
/// <remarks>
/// Two networks are equal when their input shapes, presets and nodes are, with names and switches. A network has at
/// most 20,000 layers, with paths of at most 500 characters in at most 32 levels. A row has at most 2²⁷ values (512 MiB) where it goes in,
/// between two layers, and where it comes out, and at most four times as many in all values that are still to be read
/// at any one time.
/// </remarks>
public sealed partial class Network : IEquatable<Network>
{
    internal const int MaxNodes = 20_000, MaxPath = 500, MaxLevels = 32;

    /// <summary>
    /// The most values of a row between two layers. A few bytes of a file can claim any number of them: a convolution
    /// with a wide padding has few weights. This many are 512 MiB, 1448² pixels of 64 channels; whoever predicts holds
    /// the input and the output of a layer.
    /// </summary>
    internal const int MaxRowSize = 1 << 27;

    /// <summary>
    /// The most values of a row that are still to be read at any one time. A chain has two such values of up to
    /// <see cref="MaxRowSize"/>; a network that branches could have one for each of its layers.
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

    /// <summary>The shape of a row that goes in, the batch left out.</summary>
    public TensorShape InputShape { get; }

    /// <summary>The shape of a row that comes out: the last node's.</summary>
    public TensorShape OutputShape => nodes.IsEmpty ? InputShape : nodes[^1].Output;

    /// <summary>
    /// Whose defaults the next layer gets; null until <see cref="WithPreset"/> says it. Then kernels begin as in Keras,
    /// and a batch normalization's ε, momentum, kind of statistics and variance convention, and a LeakyReLU's slope,
    /// stay null where the layer itself does not say them: a load from safetensors fills them in, and whatever computes
    /// with the network takes Keras's.
    /// </summary>
    public NetworkPreset? Preset { get; }

    /// <summary>
    /// The layers in the order in which they compute: each reads the network's input or earlier ones, and each but the
    /// last is read. The last one's value comes out.
    /// </summary>
    public IReadOnlyList<NetworkNode> Nodes => nodes;

    /// <summary>Which node reads which.</summary>
    internal ValueGraph Values { get; }

    /// <summary>
    /// A network without layers, for rows of the given shape: <c>Input(64)</c>, <c>Input(3, 32, 32)</c>.
    /// </summary>
    /// <param name="shape">Features; or channels, height and width.</param>
    /// <exception cref="ArgumentException">There is no dimension, or one is not positive.</exception>
    public static Network Input(params ReadOnlySpan<int> shape) => OfNodes(new TensorShape(shape), null, []);

    /// <summary>A network of the given layers, each of which reads the one before it.</summary>
    /// <param name="inputShape">The shape of a row that goes in.</param>
    /// <param name="layers">The layers; those without a name get Keras's.</param>
    /// <exception cref="ArgumentException">
    /// A name is there twice, or a shape does not fit; the message names the layer.
    /// </exception>
    public static Network Of(TensorShape inputShape, params IEnumerable<Layer> layers)
    {
        ArgumentNullException.ThrowIfNull(inputShape);
        ArgumentNullException.ThrowIfNull(layers);
        return new Draft(inputShape, null).Add(layers).Complete();
    }

    /// <summary>A network of any nodes, such as those of a file, all of whose rules are checked.</summary>
    /// <param name="inputShape">The shape of a row that goes in.</param>
    /// <param name="preset">Whose defaults layers get that are added later.</param>
    /// <param name="nodes">
    /// The nodes in topological order: the path; the layer, whose name is empty or the path's last part; and the nodes
    /// that it reads, by their places from 0, or −1 for the network's input.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A path is not well formed or is there twice, a node reads no earlier one, its shapes do not fit, its value is
    /// never read, or a size is beyond the limits; the message names the node.
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
    /// The same network; layers added from here on, also those of a network that is appended, get the defaults of
    /// <paramref name="preset"/> for what they leave unsaid.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    [Pure]
    public Network WithPreset(NetworkPreset preset) =>
        new(InputShape, Check.Defined(preset, nameof(preset)), nodes);

    /// <summary>The layer of that path.</summary>
    /// <param name="path">The path of one of <see cref="Nodes"/>.</param>
    /// <exception cref="ArgumentException">There is no such layer; the message lists those that there are.</exception>
    public NetworkNode GetNode(string path) =>
        Nodes.FirstOrDefault(node => node.Path == path) ?? throw NoLayer(path);

    /// <summary>
    /// The network with layers frozen: training leaves their parameters as they are, and a batch normalization among
    /// them stays in inference mode, until <see cref="Unfreeze"/> names them.
    /// </summary>
    /// <param name="patterns">
    /// Paths of layers, or of blocks (appended networks, residual blocks, branches) for all in them; <c>*</c> stands
    /// for any characters, <c>?</c> for one.
    /// </param>
    /// <exception cref="ArgumentException">There is no pattern, or one matches no layer.</exception>
    [Pure]
    public Network Freeze(params string[] patterns) => With(patterns, layer => layer with { Trainable = false });

    /// <summary>The network with layers no longer frozen.</summary>
    /// <inheritdoc cref="Freeze"/>
    [Pure]
    public Network Unfreeze(params string[] patterns) => With(patterns, layer => layer with { Trainable = true });

    /// <summary>
    /// The network with other options in the batch normalization layers that the patterns match, such as
    /// <c>options => options with { UpdateStatistics = false }</c>.
    /// </summary>
    /// <param name="change">
    /// Gives the new options from the old. The axis stays as it was; and a frozen layer stays frozen, whatever
    /// <see cref="BatchNormalizationOptions.Trainable"/> it is given: <see cref="Unfreeze"/> it.
    /// </param>
    /// <param name="patterns">
    /// Paths of layers, or of blocks for all in them; <c>*</c> stands for any characters, <c>?</c> for one. Layers of
    /// other kinds stay as they are.
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
    /// The network with its head, the last layer with a kernel, replaced by a fresh one of that many outputs: the same
    /// kind and options under a new name, so that <see cref="Initialize(NetworkState, int)"/> takes over all the
    /// others.
    /// </summary>
    /// <param name="outputs">The units of a dense head, the filters of a convolution.</param>
    /// <param name="name">The new layer's name; null for <c>head</c>, or <c>head_1</c> where that is taken.</param>
    /// <example>
    /// <code>
    /// Network mine = pretrained.WithHead(5);
    /// NetworkState state = mine.Initialize(pretrainedState, seed: 1);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// There is no layer with a kernel through which everything goes, the name is there already, or the layers behind
    /// the head cannot take its shape.
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
    /// The place in <see cref="Nodes"/> of the last layer with a kernel through which everything goes that reaches the
    /// output, or null. All nodes before it lead to it, and all behind it follow from it.
    /// </summary>
    internal int? FindHead()
    {
        for (int i = nodes.Length - 1, earliest = i; i >= 0; i--)
        {
            // No node behind this one reads a value from before it.
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
    /// The network up to and with one of its layers: what its features are. <see cref="NetworkState.For"/> takes the
    /// part's layers out of the network's state.
    /// </summary>
    /// <param name="path">
    /// The path of a layer, such as <c>base/dense</c>, or of a block, whose value comes out then. Layers on which that
    /// value does not depend are left out.
    /// </param>
    /// <example>
    /// <code>
    /// Network features = network.Until("base/re_lu");
    /// var model = new NetworkModel(features, state.For(features));
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// There is no such layer; the message lists those that there are. Or several values of the block are read outside
    /// of it.
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
                $"Of '{path}', several values go on: {string.Join(", ", outputs.Select(i => nodes[i].Path))}. Name one.",
                nameof(path));

        bool ReadersAreOutside(int value) =>
            Enumerable.Range(0, nodes.Length).Any(i => !inside[i] && nodes[i].Inputs.Contains(value));
    }

    /// <summary>
    /// The network without one of its layers and all behind it, to which a new head can be added: what comes out is
    /// what the layer read. <see cref="NetworkState.For"/> takes the part's layers out of the network's state.
    /// </summary>
    /// <param name="path">
    /// The path of a layer, such as <c>base/dense</c>, or of a block. Layers on which the value before it does not
    /// depend are left out.
    /// </param>
    /// <exception cref="ArgumentException">
    /// There is no such layer; the message lists those that there are. Or the layer or block reads several values.
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
                $"{string.Join(", ", read.Select(i => i < 0 ? "the input" : nodes[i].Path))}. Cut behind one of them "
                + "with Until.",
                nameof(path));
    }

    /// <summary>
    /// The layers that read the network's input, past those that only flatten it: the first of a chain.
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

    /// <summary>Whether every layer that reads the features takes them where they are not finite.</summary>
    internal bool IgnoresNonFinite =>
        FeatureReaders.Any() && FeatureReaders.All(
            node => node.Layer is BatchNormalizationLayer { Options.NonFinite: NonFinite.Ignore });

    internal static BatchNormalizationOptions OptionsOf(NetworkPreset preset) =>
        preset == NetworkPreset.PyTorch ? BatchNormalizationOptions.PyTorch : BatchNormalizationOptions.Keras;

    /// <summary>The network with what it leaves unsaid filled in.</summary>
    /// <param name="optionsOf">
    /// What a batch normalization's options are filled in from, by the layer's path; null leaves them.
    /// </param>
    /// <param name="slopeOf">The slope of a LeakyReLU, by its path.</param>
    /// <param name="preset">Whose defaults layers get that are added later.</param>
    internal Network Filled(
        Func<string, BatchNormalizationOptions?> optionsOf, Func<string, double> slopeOf, NetworkPreset preset) =>
        With(node => Filled(node.Layer, optionsOf(node.Path), slopeOf(node.Path))).WithPreset(Preset ?? preset);

    /// <summary>The network with what its layers leave unsaid as it is in another's, by their paths.</summary>
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
        {
            ArgumentNullException.ThrowIfNull(pattern, nameof(patterns));
            if (!Nodes.Any(node => Matches(pattern, node.Path)))
                throw new ArgumentException($"'{pattern}' matches no layer; {Listed("there are ")}", nameof(patterns));
        }
        return With(node => Array.Exists(patterns, pattern => Matches(pattern, node.Path))
            ? change(node.Layer)
            : node.Layer);
    }

    /// <summary>The same nodes with other layers, which may have other names and output shapes.</summary>
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

    /// <summary>The network whose output is one of this one's values.</summary>
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

    /// <summary>Whether each node has that path or lies in that block.</summary>
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
        Nodes.Count == 0 ? "it is empty." : $"{verb}{string.Join(", ", Nodes.Select(node => node.Path))}.";

    /// <summary>Whether the pattern matches the path, or that of a block around it.</summary>
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

    /// <summary>A network while nodes are added; it keeps to the rules of all networks.</summary>
    sealed class Draft
    {
        readonly TensorShape inputShape;
        readonly NetworkPreset? preset;
        readonly ImmutableArray<NetworkNode>.Builder nodes = ImmutableArray.CreateBuilder<NetworkNode>();
        readonly HashSet<string> paths = new(StringComparer.Ordinal), blocks = new(StringComparer.Ordinal);

        // Where the search for a free number goes on: those before it are taken, and none becomes free.
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

        /// <summary>The last value: the one that a layer reads that is added.</summary>
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

        /// <summary>Adds the nodes of a network under a path.</summary>
        /// <param name="path">What comes before their paths.</param>
        /// <param name="kind">What it is, for a message.</param>
        /// <param name="network">The network; without layers it is the value itself.</param>
        /// <param name="value">The value that it reads.</param>
        /// <returns>The place of its output.</returns>
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
                    + (inputs.IsDefaultOrEmpty ? "." : $", not {string.Join(", ", inputs)}."));
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
                        $"No layer reads '{nodes[i].Path}', and it is not the last one, whose value comes out.");
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

        /// <summary>A name at the top that is given or, where none is, free.</summary>
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
