namespace Microsoft.ML.BatchNorm;

/// <summary>The framework whose defaults the layers of a network get.</summary>
public enum NetworkPreset
{
    /// <summary>
    /// Keras: Glorot uniform kernels, zero biases, <see cref="BatchNormalizationOptions.Keras"/>, and a LeakyReLU slope
    /// of 0.3.
    /// </summary>
    Keras,

    /// <summary>
    /// PyTorch: kernels and biases uniform on ±1/√fan-in, <see cref="BatchNormalizationOptions.PyTorch"/>, and a
    /// LeakyReLU slope of 0.01. The preset affects only layers: an <see cref="AdamOptimizer"/> has Keras's ε unless you
    /// set PyTorch's, <c>Optimizer.Adam() with { Epsilon = 1e-8 }</c>.
    /// </summary>
    PyTorch,
}
