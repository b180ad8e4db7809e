using System.Collections.Immutable;
using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What a network has learned: the state of each layer, by the layer's path. Layers without parameters have no entry.
/// An immutable value; two states are equal if all their bits are.
/// </summary>
public sealed class NetworkState : IEquatable<NetworkState>
{
    readonly ImmutableDictionary<string, LayerState> layers;

    /// <summary>Makes a state from the states of layers.</summary>
    /// <param name="layers">The state of each layer, by the layer's path.</param>
    /// <exception cref="ArgumentException">A path occurs twice.</exception>
    /// <exception cref="ArgumentNullException">The sequence, a path or a state is null.</exception>
    public NetworkState(IEnumerable<KeyValuePair<string, LayerState>> layers)
    {
        ArgumentNullException.ThrowIfNull(layers);
        var builder = ImmutableDictionary.CreateBuilder<string, LayerState>(StringComparer.Ordinal);
        foreach ((string path, LayerState state) in layers)
        {
            ArgumentNullException.ThrowIfNull(path, nameof(layers));
            ArgumentNullException.ThrowIfNull(state, nameof(layers));
            if (!builder.TryAdd(path, state))
                throw new ArgumentException($"The path '{path}' occurs twice.", nameof(layers));
        }
        this.layers = builder.ToImmutable();
    }

    /// <summary>The state of a network without parameters.</summary>
    internal static NetworkState Empty { get; } = new([]);

    NetworkState(ImmutableDictionary<string, LayerState> layers) => this.layers = layers;

    /// <summary>The paths of the layers that have a state, in no particular order.</summary>
    public IEnumerable<string> Paths => layers.Keys;

    /// <summary>The state of a layer.</summary>
    /// <param name="path">The layer's path.</param>
    /// <exception cref="ArgumentException">
    /// The state has no such layer; the message lists those that it has.
    /// </exception>
    public LayerState this[string path] =>
        TryGet(path) ?? throw new ArgumentException(
            $"The state has no layer '{path}'; it has {string.Join(", ", layers.Keys.Order(StringComparer.Ordinal))}.",
            nameof(path));

    /// <summary>The state of a layer, or null if there is none.</summary>
    /// <param name="path">The layer's path.</param>
    public LayerState? TryGet(string path) => layers.GetValueOrDefault(path);

    /// <summary>
    /// The state of a network that is a part of this state's network, such as <see cref="Network.Until"/> and
    /// <see cref="Network.Before"/> give: this state without the layers that the part does not have.
    /// </summary>
    /// <param name="network">The part.</param>
    /// <exception cref="ArgumentException">
    /// A layer of the part is missing here or has other shapes; the message names every such layer.
    /// </exception>
    [Pure]
    public NetworkState For(Network network)
    {
        ArgumentNullException.ThrowIfNull(network);
        HashSet<string> paths = [.. network.Nodes.Select(node => node.Path)];
        var part = new NetworkState(layers.RemoveRange(layers.Keys.Where(path => !paths.Contains(path))));
        network.CheckState(part);
        return part;
    }

    /// <summary>This state with the state of one layer replaced or added.</summary>
    /// <param name="path">The layer's path.</param>
    /// <param name="state">Its new state.</param>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    [Pure]
    public NetworkState With(string path, LayerState state)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(state);
        return new NetworkState(layers.SetItem(path, state));
    }

    /// <inheritdoc/>
    public bool Equals(NetworkState? other) =>
        other is not null && layers.Count == other.layers.Count
        && layers.All(entry => entry.Value.Equals(other.TryGet(entry.Key)));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as NetworkState);

    /// <inheritdoc/>
    public override int GetHashCode() =>
        layers.Aggregate(layers.Count, (hash, entry) => hash ^ HashCode.Combine(entry.Key, entry.Value));
}

/// <summary>
/// A network and its state, as <see cref="Network.Load"/> and <c>LoadSafetensors</c> return them. Two are equal if both
/// parts are.
/// </summary>
/// <param name="Network">The network, with the names and switches of its layers.</param>
/// <param name="State">The state of that network.</param>
public sealed record SavedNetwork(Network Network, NetworkState State)
{
    /// <summary>
    /// The names of the tensors that the file has and the network does not, if it was loaded with
    /// <see cref="UnexpectedTensors.Ignore"/>; otherwise empty. Equality does not look at them.
    /// </summary>
    public IReadOnlyList<string> IgnoredTensors { get; internal init; } = [];

    /// <summary>
    /// This network for pixels as they come: what it expects of them is done in front of it, in frozen layers that are
    /// part of the network and so of its files and exports (<see cref="ImageNormalization.ToNetwork"/>).
    /// </summary>
    /// <param name="normalization">What the network expects, such as <see cref="ImageNormalization.Torchvision"/>.</param>
    /// <example>
    /// <code>
    /// SavedNetwork pretrained = Architectures.ResNet18().LoadSafetensors("resnet18.safetensors");
    /// SavedNetwork forPixels = pretrained.WithNormalization(ImageNormalization.Torchvision);
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">
    /// The network's input is not an image with as many channels, or it has layers of the same names already.
    /// </exception>
    [Pure]
    public SavedNetwork WithNormalization(ImageNormalization normalization)
    {
        ArgumentNullException.ThrowIfNull(normalization);
        TensorShape input = Network.InputShape;
        if (input.Rank != 3 || input[0] != normalization.Mean.Length)
            throw new ArgumentException(
                $"The network's input is {input}; the normalization is for {normalization.Mean.Length} channels, "
                + "height and width.", nameof(normalization));
        SavedNetwork front = normalization.ToNetwork(input[1], input[2]);
        return new SavedNetwork(
            Network.Prepend(front.Network),
            front.State.Paths.Aggregate(State, (state, path) => state.With(path, front.State[path])));
    }

    /// <inheritdoc/>
    public bool Equals(SavedNetwork? other) =>
        other is not null && Equals(Network, other.Network) && Equals(State, other.State);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Network, State);
}
