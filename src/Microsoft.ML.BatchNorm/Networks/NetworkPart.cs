using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>The first layers of a network.</summary>
static class NetworkPart
{
    /// <summary>The network up to and with a layer, and the parameters of what is left.</summary>
    /// <param name="saved">The whole network.</param>
    /// <param name="path">The path of one of its layers, or of an inner network; null for the whole.</param>
    /// <exception cref="ArgumentException">There is no such layer.</exception>
    public static SavedNetwork Until(SavedNetwork saved, string? path)
    {
        if (path is null)
            return saved;
        Network network = Until(saved.Network, path);
        return new SavedNetwork(network, new NetworkState(
            network.Nodes.Where(node => saved.State.TryGet(node.Path) is not null)
                .Select(node => KeyValuePair.Create(node.Path, saved.State[node.Path]))));
    }

    static Network Until(Network network, string path)
    {
        int end = path.IndexOf('/', StringComparison.Ordinal);
        if (end < 0)
            return network.Until(path);
        string name = path[..end];
        return network.Layers.FirstOrDefault(layer => layer.Name == name) is NetworkLayer inner
            ? network.Before(name).Append(Until(inner.Inner, path[(end + 1)..]), name)
            : network.Until(path);
    }
}
