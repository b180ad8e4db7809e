using Tensors = Microsoft.ML.BatchNorm.BatchNormalizationTensors;

namespace Microsoft.ML.BatchNorm;

/// <summary>The names that the tensors of a layer have in a file.</summary>
sealed class TensorNames
{
    readonly Func<string, string?> nameOf;

    TensorNames(string family, char separator, Func<string, string?> nameOf) =>
        (Family, Separator, this.nameOf) = (family, separator, nameOf);

    /// <summary>This library's names, which all tensors have.</summary>
    public static TensorNames Own { get; } = new("this library", '/', tensor => tensor);

    /// <summary>Keras's names, which are the same for all tensors that Keras has.</summary>
    public static TensorNames Keras { get; } = new("Keras", '/', tensor => tensor is
        "kernel" or "bias" or Tensors.Gamma or Tensors.Beta or Tensors.Mean or Tensors.Variance
        || Tensors.Renorm.Contains(tensor)
            ? tensor
            : null);

    /// <summary>PyTorch's names; there are none for renormalization.</summary>
    public static TensorNames PyTorch { get; } = new("PyTorch", '.', tensor => tensor switch
    {
        "kernel" or Tensors.Gamma => "weight",
        "bias" or Tensors.Beta => "bias",
        Tensors.Mean => "running_mean",
        Tensors.Variance => "running_var",
        Tensors.Batches => "num_batches_tracked",
        _ => null,
    });

    /// <summary>Who gives the names, for messages.</summary>
    public string Family { get; }

    /// <summary>The character between the names of blocks, layers and tensors.</summary>
    public char Separator { get; }

    public static TensorNames Of(TensorNaming naming) => naming == TensorNaming.Keras ? Keras : PyTorch;

    /// <summary>The name in a file, or null if there is none.</summary>
    /// <param name="tensor">The name of a <see cref="TensorSpec"/>.</param>
    public string? this[string tensor] => nameOf(tensor);
}
