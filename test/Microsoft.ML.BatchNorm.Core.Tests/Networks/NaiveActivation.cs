namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>Activations and their slopes, one value at a time.</summary>
static class NaiveActivation
{
    public static double Value(ActivationLayer layer, double x) => layer.Function switch
    {
        Activation.ReLU => x > 0 ? x : 0,
        Activation.LeakyReLU => x > 0 ? x : (layer.NegativeSlope ?? 0.3) * x,
        Activation.Gelu => x * Normal(x),
        Activation.Sigmoid => Sigmoid(x),
        Activation.SiLU => x * Sigmoid(x),
        Activation.HardSwish => x * Math.Clamp(x + 3, 0, 6) / 6,
        Activation.HardSigmoid => Math.Clamp(x + 3, 0, 6) / 6,
        Activation.ReLU6 => Math.Clamp(x, 0, 6),
        Activation.Tanh => Math.Tanh(x),
        _ => throw new NotSupportedException(layer.Kind),
    };

    public static double Slope(ActivationLayer layer, double x) => layer.Function switch
    {
        Activation.ReLU => x > 0 ? 1 : 0,
        Activation.LeakyReLU => x > 0 ? 1 : layer.NegativeSlope ?? 0.3,
        Activation.Gelu => Normal(x) + x * Math.Exp(-x * x / 2) / Math.Sqrt(Math.Tau),
        Activation.Sigmoid => Sigmoid(x) * (1 - Sigmoid(x)),
        Activation.SiLU => Sigmoid(x) * (1 + x * (1 - Sigmoid(x))),
        Activation.HardSwish => x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5,
        Activation.HardSigmoid => x > -3 && x < 3 ? 1.0 / 6 : 0,
        Activation.ReLU6 => x > 0 && x < 6 ? 1 : 0,
        Activation.Tanh => 1 - Math.Tanh(x) * Math.Tanh(x),
        _ => throw new NotSupportedException(layer.Kind),
    };

    static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>Φ, from the series <c>½ + φ(x)·(x + x³/3 + x⁵/15 + …)</c> (Marsaglia, 2004).</summary>
    public static double Normal(double x)
    {
        if (Math.Abs(x) > 8)
            return x > 0 ? 1 : 0;
        double sum = x, term = x;
        for (int i = 3; Math.Abs(term) > 1e-18 * Math.Abs(sum); i += 2)
            sum += term *= x * x / i;
        return 0.5 + sum * Math.Exp(-x * x / 2) / Math.Sqrt(Math.Tau);
    }
}
