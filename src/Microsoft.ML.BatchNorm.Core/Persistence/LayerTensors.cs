namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The tensors of one layer in a file: names, shapes, and the order of their values.</summary>
abstract class LayerTensors
{
    protected LayerTensors(NetworkNode node, string prefix) => (Node, Prefix) = (node, prefix);

    public NetworkNode Node { get; }

    /// <summary>What the names of the layer's tensors begin with.</summary>
    public string Prefix { get; }

    /// <summary>All that the layer can have in a file.</summary>
    public abstract IEnumerable<ExpectedTensor> Expected { get; }

    public abstract LayerState Read(SafetensorsValues values);

    public abstract IEnumerable<SafetensorsTensor> Write(LayerState state);

    /// <summary>The population of a batch normalization that has one, by its name.</summary>
    public virtual IEnumerable<KeyValuePair<string, PopulationMoments>> Population(LayerState state) => [];

    /// <param name="node">A layer with a state.</param>
    /// <param name="prefix">What the names of its tensors begin with.</param>
    /// <param name="naming">Whose names and layouts they have.</param>
    /// <param name="image">The shape of the image that the layer's input is, flattened; null where it is none.</param>
    public static LayerTensors Of(NetworkNode node, string prefix, TensorNaming naming, TensorShape? image)
    {
        bool isKeras = naming == TensorNaming.Keras;
        if (node.Layer is BatchNormalizationLayer normalization)
            return new NormalizationTensors(
                node, prefix, normalization.Options, StateNames.Of(naming).Under(prefix), isKeras ? image : null);
        return new KernelTensors(node, prefix, isKeras ? "kernel" : "weight", Layout());

        KerasLayout? Layout()
        {
            if (!isKeras)
                return null;
            if (node.Layer is Conv2DLayer conv)
                return new(conv.Filters, node.Input[0], conv.KernelSize.Height, conv.KernelSize.Width);
            int units = node.Output[0];
            return image is null ? new(units, node.Input[0], 1, 1) : new(units, image[0], image[1], image[2]);
        }
    }
}
