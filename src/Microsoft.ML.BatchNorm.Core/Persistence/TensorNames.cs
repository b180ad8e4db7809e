namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>What the tensors of a layer are called in a file, by their names here.</summary>
sealed class TensorNames
{
    readonly IReadOnlyDictionary<string, string>? names;

    TensorNames(string family, char separator, IReadOnlyDictionary<string, string>? names) =>
        (Family, Separator, this.names) = (family, separator, names);

    /// <summary>The names here: every tensor has one.</summary>
    public static TensorNames Own { get; } = new("this library", '/', null);

    public static TensorNames PyTorch { get; } = new("PyTorch", '.', new Dictionary<string, string>
    {
        [LayerTensor.Kernel] = "weight",
        [LayerTensor.Bias] = "bias",
        [LayerTensor.Gamma] = "weight",
        [LayerTensor.Beta] = "bias",
        [LayerTensor.MovingMean] = "running_mean",
        [LayerTensor.MovingVariance] = "running_var",
        [LayerTensor.BatchesSeen] = "num_batches_tracked",
    });

    public static TensorNames Keras { get; } = new("Keras", '/', new Dictionary<string, string>
    {
        [LayerTensor.Kernel] = "kernel",
        [LayerTensor.Bias] = "bias",
        [LayerTensor.Gamma] = "gamma",
        [LayerTensor.Beta] = "beta",
        [LayerTensor.MovingMean] = "moving_mean",
        [LayerTensor.MovingVariance] = "moving_variance",
        [LayerTensor.Renorm[0]] = "moving_stddev",
        [LayerTensor.Renorm[1]] = "renorm_mean",
        [LayerTensor.Renorm[2]] = "renorm_stddev",
    });

    /// <summary>Whose names they are.</summary>
    public string Family { get; }

    /// <summary>What stands between the names of networks, layers and tensors.</summary>
    public char Separator { get; }

    public static TensorNames Of(TensorNaming naming) => naming == TensorNaming.Keras ? Keras : PyTorch;

    /// <summary>The name in a file, or null where there is none.</summary>
    public string? this[string tensor] => names is null ? tensor : names.GetValueOrDefault(tensor);
}
