using System.Collections.Immutable;
using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// All that a network has learned, by the path of the layer: an immutable value. Layers without parameters have no
/// entry. Two are equal when every bit is.
/// </summary>
public sealed class NetworkState : IEquatable<NetworkState>
{
    readonly ImmutableDictionary<string, LayerState> layers;

    /// <summary>A state of the given layers' states.</summary>
    /// <param name="layers">The states by the paths of their layers.</param>
    /// <exception cref="ArgumentException">A path is there twice.</exception>
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
                throw new ArgumentException($"The path '{path}' is there twice.", nameof(layers));
        }
        this.layers = builder.ToImmutable();
    }

    /// <summary>A state of no layer.</summary>
    internal static NetworkState Empty { get; } = new([]);

    NetworkState(ImmutableDictionary<string, LayerState> layers) => this.layers = layers;

    /// <summary>The paths of the layers that have parameters, in no order.</summary>
    public IEnumerable<string> Paths => layers.Keys;

    /// <summary>The state of a layer.</summary>
    /// <param name="path">The layer's path.</param>
    /// <exception cref="ArgumentException">There is none; the message lists those that there are.</exception>
    public LayerState this[string path] =>
        TryGet(path) ?? throw new ArgumentException(
            $"The state has no layer '{path}'; it has {string.Join(", ", layers.Keys.Order(StringComparer.Ordinal))}.",
            nameof(path));

    /// <summary>The state of a layer, or null where there is none.</summary>
    /// <param name="path">The layer's path.</param>
    public LayerState? TryGet(string path) => layers.GetValueOrDefault(path);

    /// <summary>
    /// The layers of this state that belong to a network, such as to a part of the one that it is of.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <exception cref="ArgumentException">
    /// A layer of the network is missing here or has other shapes; the message names every such layer.
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

    /// <summary>The same state with a layer's replaced or added.</summary>
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
/// What <see cref="Network.Load"/> or <see cref="Network.LoadSafetensors"/> found: a network and what it has learned.
/// Equal when both are.
/// </summary>
/// <param name="Network">The network, with its layers' names and switches.</param>
/// <param name="State">Its state, which fits it.</param>
public sealed record SavedNetwork(Network Network, NetworkState State);
