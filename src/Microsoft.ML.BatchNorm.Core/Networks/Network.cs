using System.Collections.Immutable;

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
public sealed partial class Network
{
    readonly NetworkPreset preset;
    readonly ImmutableArray<Layer> layers;

    Network(TensorShape inputShape, NetworkPreset preset, ImmutableArray<Layer> layers)
    {
        InputShape = inputShape;
        this.preset = preset;
        this.layers = layers;
        Nodes = Place(inputShape, layers);
        OutputShape = Nodes.Count == 0 ? inputShape : Nodes[^1].Output;
    }

    /// <summary>The shape of a row that goes in, the batch left out.</summary>
    public TensorShape InputShape { get; }

    /// <summary>The shape of a row that comes out.</summary>
    public TensorShape OutputShape { get; }

    /// <summary>The layers, each with its name; an inner network is one of them.</summary>
    public IReadOnlyList<Layer> Layers => layers;

    /// <summary>The layers with those of inner networks in their places, in the order in which they compute.</summary>
    public IReadOnlyList<NetworkNode> Nodes { get; }

    /// <summary>A network without layers, for rows of the given shape: <c>Input(64)</c>, <c>Input(3, 32, 32)</c>.</summary>
    /// <param name="shape">Features; or channels, height and width.</param>
    /// <exception cref="ArgumentException">There is no dimension, or one is not positive.</exception>
    public static Network Input(params ReadOnlySpan<int> shape) => new(new TensorShape(shape), NetworkPreset.Keras, []);

    /// <summary>A network of the given layers.</summary>
    /// <exception cref="ArgumentException">A name is there twice, or a shape does not fit; the message names the layer.</exception>
    public static Network Of(TensorShape inputShape, params IEnumerable<Layer> layers)
    {
        ArgumentNullException.ThrowIfNull(inputShape);
        ArgumentNullException.ThrowIfNull(layers);
        return layers.Aggregate(
            new Network(inputShape, NetworkPreset.Keras, []), (network, layer) => network.Add(layer));
    }

    /// <summary>The same network; layers added from here on get the defaults of <paramref name="preset"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    public Network WithPreset(NetworkPreset preset) =>
        new(InputShape, Check.Defined(preset, nameof(preset)), layers);

    /// <summary>The network with one layer more at its end.</summary>
    /// <exception cref="ArgumentException">The name is there already, or the shape does not fit.</exception>
    public Network Add(Layer layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        layer = PushDown(layer);
        if (layer.Name.Length == 0)
            return new Network(InputShape, preset, layers.Add(layer with { Name = FreeName(layer.DefaultName) }));
        return layers.Any(other => other.Name == layer.Name)
            ? throw new ArgumentException($"The network has a layer '{layer.Name}' already.", nameof(layer))
            : new Network(InputShape, preset, layers.Add(layer));
    }

    /// <summary>The layer of that path.</summary>
    /// <param name="path">The path of one of <see cref="Nodes"/>.</param>
    /// <exception cref="ArgumentException">There is no such layer; the message lists those that there are.</exception>
    public NetworkNode GetNode(string path) =>
        Nodes.FirstOrDefault(node => node.Path == path)
        ?? throw new ArgumentException(
            $"The network has no layer '{path}'; it has {string.Join(", ", Nodes.Select(node => node.Path))}.",
            nameof(path));

    /// <summary>The network up to and with one of its own layers: what its features are.</summary>
    /// <param name="name">The name of one of <see cref="Layers"/>.</param>
    /// <exception cref="ArgumentException">There is no such layer.</exception>
    public Network Until(string name) => new(InputShape, preset, layers[..(IndexOf(name) + 1)]);

    /// <summary>The network without one of its own layers and all behind it, to which a new head can be added.</summary>
    /// <param name="name">The name of one of <see cref="Layers"/>.</param>
    /// <exception cref="ArgumentException">There is no such layer.</exception>
    public Network Before(string name) => new(InputShape, preset, layers[..IndexOf(name)]);

    int IndexOf(string name)
    {
        for (int i = 0; i < layers.Length; i++)
        {
            if (layers[i].Name == name)
                return i;
        }
        throw new ArgumentException(
            $"The network has no layer '{name}'; it has {string.Join(", ", layers.Select(layer => layer.Name))}.",
            nameof(name));
    }

    string FreeName(string name)
    {
        if (!layers.Any(layer => layer.Name == name))
            return name;
        for (int i = 1; ; i++)
        {
            if (!layers.Any(layer => layer.Name == $"{name}_{i}"))
                return $"{name}_{i}";
        }
    }

    /// <summary>A network as a layer holds its switches in its layers alone.</summary>
    static Layer PushDown(Layer layer) =>
        layer is NetworkLayer { Trainable: false } inner
            ? inner with { Inner = inner.Inner.Freeze("*"), Trainable = true }
            : layer;

    static ImmutableArray<NetworkNode> Place(TensorShape shape, ImmutableArray<Layer> layers)
    {
        var nodes = ImmutableArray.CreateBuilder<NetworkNode>();
        foreach (Layer layer in layers)
        {
            TensorShape output = layer.OutputShape(shape);
            if (layer is NetworkLayer inner)
                nodes.AddRange(inner.Inner.Nodes.Select(node => node with { Path = $"{layer.Name}/{node.Path}" }));
            else
                nodes.Add(new NetworkNode(layer.Name, layer, shape, output));
            shape = output;
        }
        return nodes.ToImmutable();
    }
}
