namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
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
        With((path, layer) => Filled(layer, optionsOf(path), slopeOf(path)), "").WithPreset(Preset ?? preset);

    /// <summary>The network with what its layers leave unsaid as it is in another's, by their paths.</summary>
    internal Network FilledFrom(Network other)
    {
        Dictionary<string, Layer> known = other.Nodes.ToDictionary(node => node.Path, node => node.Layer);
        return With(
            (path, layer) => known.GetValueOrDefault(path) switch
            {
                BatchNormalizationLayer normalization => Filled(layer, normalization.Options, null),
                ActivationLayer { Function: Activation.LeakyReLU } leaky => Filled(layer, null, leaky.NegativeSlope),
                _ => layer,
            },
            "");
    }

    static Layer Filled(Layer layer, BatchNormalizationOptions? options, double? slope) => layer switch
    {
        NetworkLayer network =>
            network with { Inner = network.Inner.With((_, inner) => Filled(inner, options, slope), "") },
        BatchNormalizationLayer normalization when options is not null =>
            normalization with { Options = normalization.Options.Or(options) },
        ActivationLayer { Function: Activation.LeakyReLU, NegativeSlope: null } leaky =>
            leaky with { NegativeSlope = slope },
        _ => layer,
    };
}
