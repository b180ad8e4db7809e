using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>
    /// The network up to and with one of its layers: what its features are. <see cref="NetworkState.For"/> takes the
    /// part's layers out of the network's state.
    /// </summary>
    /// <param name="path">
    /// The path of a layer or of an inner network; one such as <c>base/dense</c> cuts the inner network.
    /// </param>
    /// <example>
    /// <code>
    /// Network features = network.Until("base/re_lu");
    /// var model = new NetworkModel(features, state.For(features));
    /// </code>
    /// </example>
    /// <exception cref="ArgumentException">There is no such layer; the message lists those that there are.</exception>
    [Pure]
    public Network Until(string path) => Cut(path, isKept: true) ?? throw NoLayer(path);

    /// <summary>
    /// The network without one of its layers and all behind it, to which a new head can be added. An inner network of
    /// which nothing is left goes as well. <see cref="NetworkState.For"/> takes the part's layers out of the network's
    /// state.
    /// </summary>
    /// <param name="path">
    /// The path of a layer or of an inner network; one such as <c>base/dense</c> cuts the inner network.
    /// </param>
    /// <exception cref="ArgumentException">There is no such layer; the message lists those that there are.</exception>
    [Pure]
    public Network Before(string path) => Cut(path, isKept: false) ?? throw NoLayer(path);

    /// <summary>The layers until the path, with its own or without; null where there is none.</summary>
    Network? Cut(string path, bool isKept)
    {
        ArgumentNullException.ThrowIfNull(path);
        int slash = path.IndexOf('/');
        string name = slash < 0 ? path : path[..slash];
        int index = IndexOf(name);
        if (index == layers.Length)
            return null;
        if (slash < 0)
            return new Network(InputShape, Preset, layers[..(isKept ? index + 1 : index)]);
        if (layers[index] is not NetworkLayer inner || inner.Inner.Cut(path[(slash + 1)..], isKept) is not { } cut)
            return null;
        return new Network(
            InputShape, Preset,
            cut.layers.IsEmpty ? layers[..index] : [.. layers[..index], inner with { Inner = cut }]);
    }

    /// <summary>The place of one of the network's own layers; their number where there is none of that name.</summary>
    int IndexOf(string name) => layers.TakeWhile(layer => layer.Name != name).Count();

    ArgumentException NoLayer(string path) =>
        new($"The network has no layer '{path}'; {Listed("it has ")}", nameof(path));
}
