namespace Microsoft.ML.BatchNorm;

/// <summary>Which variance enters the moving variance. Normalization itself always divides by <c>n</c>.</summary>
public enum VarianceConvention
{
    /// <summary><c>Σ (x − μ)² / n</c>, as in Keras.</summary>
    Population,

    /// <summary>
    /// <c>Σ (x − μ)² / (n − 1)</c>, as in PyTorch. A channel with a single value is an error in training mode.
    /// </summary>
    Sample,
}
