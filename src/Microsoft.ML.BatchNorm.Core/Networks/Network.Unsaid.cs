namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    internal static BatchNormalizationOptions OptionsOf(NetworkPreset preset) =>
        preset == NetworkPreset.PyTorch ? BatchNormalizationOptions.PyTorch : BatchNormalizationOptions.Keras;

    /// <summary>The preset that a file states: what a LeakyReLU without a slope computes with is Keras's.</summary>
    internal NetworkPreset EffectivePreset =>
        Nodes.Any(node => node.Layer is ActivationLayer { Function: Activation.LeakyReLU, NegativeSlope: null })
            ? NetworkPreset.Keras
            : Preset ?? NetworkPreset.Keras;

    /// <summary>The network with what it leaves unsaid filled in.</summary>
    /// <param name="optionsOf">
    /// What a batch normalization's options are filled in from, by the layer's path; null leaves them.
    /// </param>
    /// <param name="preset">Whose LeakyReLU it is, and whose defaults layers get that are added later.</param>
    internal Network Filled(Func<string, BatchNormalizationOptions?> optionsOf, NetworkPreset preset) =>
        With((path, layer) => Filled(layer, optionsOf(path), preset), "").WithPreset(Preset ?? preset);

    /// <summary>The network with what its layers leave unsaid as it is in another's, by their paths.</summary>
    internal Network FilledFrom(Network other)
    {
        Dictionary<string, Layer> known = other.Nodes.ToDictionary(node => node.Path, node => node.Layer);
        return With(
            (path, layer) => known.GetValueOrDefault(path) switch
            {
                BatchNormalizationLayer normalization => Filled(layer, normalization.Options, null),
                ActivationLayer { NegativeSlope: { } slope }
                    when layer is ActivationLayer { Function: Activation.LeakyReLU, NegativeSlope: null } own =>
                    own with { NegativeSlope = slope },
                _ => layer,
            },
            "");
    }

    static Layer Filled(Layer layer, BatchNormalizationOptions? options, NetworkPreset? preset) => layer switch
    {
        NetworkLayer network =>
            network with { Inner = network.Inner.With((_, inner) => Filled(inner, options, preset), "") },
        BatchNormalizationLayer normalization when options is not null =>
            normalization with { Options = normalization.Options.Or(options) },
        ActivationLayer { Function: Activation.LeakyReLU, NegativeSlope: null } leaky when preset is { } said =>
            leaky with { NegativeSlope = ActivationLayer.SlopeOf(said) },
        _ => layer,
    };
}
