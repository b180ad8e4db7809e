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

    /// <summary><c>x/(1 + e⁻ˣ)</c>, also called Swish.</summary>
    SiLU,

    /// <summary><c>x·min(max(x + 3, 0), 6)/6</c>, a SiLU of straight lines and a parabola.</summary>
    HardSwish,

    /// <summary>
    /// <c>min(max(x + 3, 0), 6)/6</c>, a sigmoid of straight lines, as in PyTorch and Keras 3. Keras 2's
    /// <c>hard_sigmoid</c> is another function, <c>min(max(0.2·x + 0.5, 0), 1)</c>.
    /// </summary>
    HardSigmoid,

    /// <summary><c>min(max(x, 0), 6)</c>.</summary>
    ReLU6,
}
