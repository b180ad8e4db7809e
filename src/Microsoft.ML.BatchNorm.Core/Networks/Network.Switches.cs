using System.Diagnostics.Contracts;
using System.IO.Enumeration;

namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>
    /// The network with layers frozen: training leaves their parameters as they are, and a batch normalization among
    /// them stays in inference mode, until <see cref="Unfreeze"/> names them.
    /// </summary>
    /// <param name="patterns">
    /// Paths of layers, or of inner networks for all in them; <c>*</c> stands for any characters, <c>?</c> for one.
    /// </param>
    /// <exception cref="ArgumentException">There is no pattern, or one matches no layer.</exception>
    [Pure]
    public Network Freeze(params string[] patterns) => With(patterns, layer => WithTrainable(layer, false));

    /// <summary>The network with layers no longer frozen.</summary>
    /// <inheritdoc cref="Freeze"/>
    [Pure]
    public Network Unfreeze(params string[] patterns) => With(patterns, layer => WithTrainable(layer, true));

    /// <summary>
    /// The network with other options in the batch normalization layers that the patterns match, such as
    /// <c>options => options with { UpdateStatistics = false }</c>.
    /// </summary>
    /// <param name="change">
    /// Gives the new options from the old. The axis stays as it was; and a frozen layer stays frozen, whatever
    /// <see cref="BatchNormalizationOptions.Trainable"/> it is given: <see cref="Unfreeze"/> it.
    /// </param>
    /// <param name="patterns">
    /// Paths of layers, or of inner networks for all in them; <c>*</c> stands for any characters, <c>?</c> for one.
    /// Layers of other kinds stay as they are.
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
            ? Settled(normalization with { Options = Changed(normalization.Options) })
            : layer);

        BatchNormalizationOptions Changed(BatchNormalizationOptions options) =>
            (change(options) ?? throw new ArgumentException("The change gave null for options.", nameof(change)))
                with { Axis = options.Axis };
    }

    static Layer WithTrainable(Layer layer, bool trainable) => layer is BatchNormalizationLayer normalization
        ? normalization with { Options = normalization.Options with { Trainable = trainable }, Trainable = trainable }
        : layer with { Trainable = trainable };

    Network Frozen() => With((_, layer) => WithTrainable(layer, false), "");

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
        return With(
            (path, layer) => Array.Exists(patterns, pattern => Matches(pattern, path)) ? change(layer) : layer, "");
    }

    Network With(Func<string, Layer, Layer> change, string prefix) =>
        new(InputShape, Preset, [.. layers.Select(layer => layer is NetworkLayer inner
            ? inner with { Inner = inner.Inner.With(change, $"{prefix}{inner.Name}/") }
            : change(prefix + layer.Name, layer))]);

    /// <summary>Whether the pattern matches the path, or that of a network around it.</summary>
    static bool Matches(string pattern, string path)
    {
        for (int end = path.Length; end > 0; end = path.LastIndexOf('/', end - 1))
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, path.AsSpan(0, end), ignoreCase: false))
                return true;
        }
        return false;
    }
}
