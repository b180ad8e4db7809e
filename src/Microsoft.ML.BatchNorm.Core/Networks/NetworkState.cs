using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// All that a network has learned, by the path of the layer: an immutable value. Layers without parameters have no entry.
/// Two are equal when every bit is.
/// </summary>
public sealed class NetworkState : IEquatable<NetworkState>
{
    readonly ImmutableDictionary<string, LayerState> layers;

    /// <summary>A state of the given layers' states.</summary>
    /// <exception cref="ArgumentException">A path is there twice.</exception>
    public NetworkState(IEnumerable<KeyValuePair<string, LayerState>> layers) =>
        this.layers = layers.ToImmutableDictionary(StringComparer.Ordinal);

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
    public LayerState? TryGet(string path) => layers.GetValueOrDefault(path);

    /// <summary>The same state with a layer's replaced or added.</summary>
    public NetworkState With(string path, LayerState state) => new(layers.SetItem(path, state));

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
