namespace Microsoft.ML.BatchNorm;

/// <summary>A function of one value.</summary>
public enum Activation
{
    /// <summary><c>max(x, 0)</c>.</summary>
    ReLU,

    /// <summary><c>x</c> where it is positive, else <c>slope·x</c>.</summary>
    LeakyReLU,

    /// <summary>
    /// <c>x·Φ(x)</c> with the normal distribution's Φ (Hendrycks and Gimpel, 2016): the exact form, with erf.
    /// </summary>
    Gelu,

    /// <summary><c>1/(1 + e⁻ˣ)</c>.</summary>
    Sigmoid,

    /// <summary><c>tanh x</c>.</summary>
    Tanh,
}
