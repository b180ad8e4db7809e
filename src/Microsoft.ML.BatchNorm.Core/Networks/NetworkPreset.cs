namespace Microsoft.ML.BatchNorm;

/// <summary>Whose defaults the layers of a network definition get.</summary>
public enum NetworkPreset
{
    /// <summary>
    /// Keras's: Glorot kernels and zero biases, <see cref="BatchNormalizationOptions.Keras"/>, a leaky slope of 0.3.
    /// </summary>
    Keras,

    /// <summary>
    /// PyTorch's: uniform kernels and biases on ±1/√fan-in, <see cref="BatchNormalizationOptions.PyTorch"/>, a leaky
    /// slope of 0.01. It ends with the layers: an <see cref="AdamOptimizer"/> has Keras's ε until it is given
    /// PyTorch's, <c>Optimizer.Adam() with { Epsilon = 1e-8 }</c>.
    /// </summary>
    PyTorch,
}
