using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Layers one after the other: what they compute, their names and their switches. An immutable value; each method gives
/// a new network. The numbers that it learns are beside it, in a <see cref="NetworkState"/>.
/// </summary>
/// <example>
/// <code>
/// Network network = Network.Input(64).Dense(128, useBias: false).BatchNormalization().ReLU().Dropout(0.1).Dense(10);
/// NetworkState state = network.Initialize(seed: 1);
/// </code>
/// </example>
/// <remarks>
/// Two networks are equal when their input shapes, presets and layers are, with names and switches. Networks nest up to
/// 8 deep, and have at most 20,000 layers in all, with paths of at most 500 characters. A row has at most 2²⁷ values
/// (512 MiB) where it goes in, between two layers, and where it comes out.
/// </remarks>
public sealed partial class Network : IEquatable<Network>
{
    internal const int MaxDepth = 8, MaxNodes = 20_000, MaxPath = 500;

    /// <summary>
    /// The most values of a row between two layers. A few bytes of a file can claim any number of them: a convolution
    /// with a wide padding has few weights. This many are 512 MiB, 1448² pixels of 64 channels; whoever predicts holds
    /// the input and the output of a layer.
    /// </summary>
    internal const int MaxRowSize = 1 << 27;

    readonly ImmutableArray<Layer> layers;
    readonly int depth;

    /// <summary>A network of named layers whose switches are settled.</summary>
    internal Network(TensorShape inputShape, NetworkPreset? preset, ImmutableArray<Layer> layers)
    {
        InputShape = inputShape;
        Preset = preset;
        this.layers = layers;
        depth = 1 + layers.Max(layer => (layer as NetworkLayer)?.Inner.depth) ?? 1;
        if (depth > MaxDepth)
            throw new ArgumentException($"Networks nest up to {MaxDepth} deep, not {depth}.");
        (Nodes, OutputShape) = Place(inputShape, layers);
    }

    /// <summary>The shape of a row that goes in, the batch left out.</summary>
    public TensorShape InputShape { get; }

    /// <summary>The shape of a row that comes out.</summary>
    public TensorShape OutputShape { get; }

    /// <summary>
    /// Whose defaults the next layer gets; null until <see cref="WithPreset"/> says it. Then kernels begin as in Keras,
    /// and a batch normalization's ε, momentum, kind of statistics and variance convention, and a LeakyReLU's slope,
    /// stay null where the layer itself does not say them: a load from safetensors fills them in, and whatever computes
    /// with the network takes Keras's.
    /// </summary>
    public NetworkPreset? Preset { get; }

    /// <summary>The layers, each with its name; an inner network is one of them.</summary>
    public IReadOnlyList<Layer> Layers => layers;

    /// <summary>The layers with those of inner networks in their places, in the order in which they compute.</summary>
    public IReadOnlyList<NetworkNode> Nodes { get; }

    /// <summary>
    /// A network without layers, for rows of the given shape: <c>Input(64)</c>, <c>Input(3, 32, 32)</c>.
    /// </summary>
    /// <param name="shape">Features; or channels, height and width.</param>
    /// <exception cref="ArgumentException">There is no dimension, or one is not positive.</exception>
    public static Network Input(params ReadOnlySpan<int> shape) => new(new TensorShape(shape), null, []);

    /// <summary>A network of the given layers.</summary>
    /// <param name="inputShape">The shape of a row that goes in.</param>
    /// <param name="layers">The layers; those without a name get Keras's.</param>
    /// <exception cref="ArgumentException">
    /// A name is there twice, or a shape does not fit; the message names the layer.
    /// </exception>
    public static Network Of(TensorShape inputShape, params IEnumerable<Layer> layers)
    {
        ArgumentNullException.ThrowIfNull(inputShape);
        ArgumentNullException.ThrowIfNull(layers);
        return new Network(inputShape, null, []).With(layers);
    }

    /// <summary>
    /// The same network; layers added from here on, also those in an inner network, get the defaults of
    /// <paramref name="preset"/> for what they leave unsaid.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    [Pure]
    public Network WithPreset(NetworkPreset preset) =>
        new(InputShape, Check.Defined(preset, nameof(preset)), layers);

    /// <summary>The network with one layer more at its end.</summary>
    /// <param name="layer">The layer; without a name it gets Keras's.</param>
    /// <exception cref="ArgumentException">The name is there already, or the shape does not fit.</exception>
    [Pure]
    public Network Add(Layer layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return With([layer]);
    }

    /// <summary>The layer of that path.</summary>
    /// <param name="path">The path of one of <see cref="Nodes"/>.</param>
    /// <exception cref="ArgumentException">There is no such layer; the message lists those that there are.</exception>
    public NetworkNode GetNode(string path) =>
        Nodes.FirstOrDefault(node => node.Path == path) ?? throw NoLayer(path);

    Network With(IEnumerable<Layer> more)
    {
        var all = layers.ToBuilder();
        var names = layers.Select(layer => layer.Name).ToHashSet(StringComparer.Ordinal);
        // Where the search for a free number goes on: those before it are taken, and none becomes free.
        var numbers = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (Layer layer in more)
        {
            ArgumentNullException.ThrowIfNull(layer);
            Layer named = layer.Name.Length > 0
                ? layer
                : layer with { Name = FreeName(layer.DefaultName, names, numbers) };
            if (!names.Add(named.Name))
                throw new ArgumentException($"The network has a layer '{named.Name}' already.");
            all.Add(Settled(
                Preset is { } preset ? Filled(named, OptionsOf(preset), ActivationLayer.SlopeOf(preset)) : named));
        }
        return new Network(InputShape, Preset, all.ToImmutable());
    }

    static string FreeName(string name, HashSet<string> taken, Dictionary<string, int> numbers)
    {
        int number = numbers.GetValueOrDefault(name);
        string free;
        do
        {
            free = number == 0 ? name : $"{name}_{number}";
            number++;
        }
        while (taken.Contains(free));
        numbers[name] = number;
        return free;
    }

    /// <summary>
    /// The layer with its switches in one place: a network's in its layers alone, a batch normalization's the same in
    /// its options as in the layer.
    /// </summary>
    internal static Layer Settled(Layer layer) => layer switch
    {
        NetworkLayer { Trainable: false } network => network with { Inner = network.Inner.Frozen(), Trainable = true },
        BatchNormalizationLayer normalization => WithTrainable(
            normalization, normalization.Trainable && normalization.Options.Trainable),
        _ => layer,
    };

    static (IReadOnlyList<NetworkNode> Nodes, TensorShape Output) Place(TensorShape shape, ImmutableArray<Layer> layers)
    {
        if (shape.Size > MaxRowSize)
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture,
                $"The network's input of {shape} takes {shape.Size * (long)sizeof(float):N0} bytes per row, more than "
                + $"the {MaxRowSize * (long)sizeof(float):N0} that are allowed."));
        var nodes = ImmutableArray.CreateBuilder<NetworkNode>();
        foreach (Layer layer in layers)
        {
            TensorShape output = layer.OutputShape(shape);
            layer.CheckRow(shape, "output", [.. output.Dimensions]);
            if (layer is NetworkLayer inner)
                nodes.AddRange(inner.Inner.Nodes.Select(
                    node => node with { Path = CheckedPath($"{layer.Name}/{node.Path}") }));
            else
                nodes.Add(new NetworkNode(CheckedPath(layer.Name), layer, shape, output));
            if (nodes.Count > MaxNodes)
                throw new ArgumentException($"A network has at most {MaxNodes} layers.");
            shape = output;
        }
        return (nodes.ToImmutable(), shape);
    }

    string Listed(string verb) =>
        Nodes.Count == 0 ? "it is empty." : $"{verb}{string.Join(", ", Nodes.Select(node => node.Path))}.";

    static string CheckedPath(string path) =>
        path.Length <= MaxPath
            ? path
            : throw new ArgumentException(
                $"The path '{path.AsSpan(0, 40)}…' has {path.Length} characters; {MaxPath} are allowed.");

    /// <inheritdoc/>
    public bool Equals(Network? other) =>
        other is not null && Preset == other.Preset && InputShape.Equals(other.InputShape)
        && layers.AsSpan().SequenceEqual(other.layers.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Network);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(InputShape);
        hash.Add(Preset);
        foreach (Layer layer in layers)
            hash.Add(layer);
        return hash.ToHashCode();
    }
}
