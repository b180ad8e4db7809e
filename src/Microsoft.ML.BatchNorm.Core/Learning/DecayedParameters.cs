namespace Microsoft.ML.BatchNorm;

/// <summary>Which parameters <see cref="Optimizer.WeightDecay"/> applies to.</summary>
public enum DecayedParameters
{
    /// <summary>
    /// The kernels of dense and convolutional layers alone, not γ, β and biases; of a TorchScript module, the
    /// parameters of more than one dimension.
    /// </summary>
    Kernels,

    /// <summary>All parameters that train, as PyTorch's and Keras's optimizers do unless told otherwise.</summary>
    All,
}
