using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A penalty on γ or β: <c>l1·Σ|w| + l2·Σw²</c>, with gradient <c>l1·sign(w) + 2·l2·w</c> (0 for l1 at w = 0).
/// </summary>
/// <remarks>Names and defaults follow <c>keras.regularizers</c>.</remarks>
public sealed record Regularizer
{
    [JsonConstructor]
    internal Regularizer(double l1Factor, double l2Factor)
    {
        L1Factor = Check.NotNegative(l1Factor, "l1");
        L2Factor = Check.NotNegative(l2Factor, "l2");
    }

    [JsonInclude]
    internal double L1Factor { get; }

    [JsonInclude]
    internal double L2Factor { get; }

    /// <summary><c>l1·Σ|w|</c>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The factor is negative or not finite.</exception>
    public static Regularizer L1(double l1 = 0.01) => new(l1, 0);

    /// <summary><c>l2·Σw²</c>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The factor is negative or not finite.</exception>
    public static Regularizer L2(double l2 = 0.01) => new(0, l2);

    /// <summary><c>l1·Σ|w| + l2·Σw²</c>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A factor is negative or not finite.</exception>
    public static Regularizer L1L2(double l1 = 0, double l2 = 0) => new(l1, l2);

    /// <summary>The penalty for <paramref name="weights"/>, to be added to the loss.</summary>
    public double Penalty(ReadOnlySpan<float> weights)
    {
        double absolute = 0, squared = 0;
        foreach (float weight in weights)
        {
            absolute += Math.Abs((double)weight);
            squared += (double)weight * weight;
        }
        return L1Factor * absolute + L2Factor * squared;
    }

    /// <summary>Adds the penalty's gradient to <paramref name="gradient"/>, one value per weight.</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public void AddGradient(ReadOnlySpan<float> weights, Span<float> gradient)
    {
        if (weights.Length != gradient.Length)
            throw new ArgumentException(
                $"The gradient has {gradient.Length} values, and there are {weights.Length} weights.",
                nameof(gradient));
        for (int i = 0; i < weights.Length; i++)
        {
            float weight = weights[i];
            double sign = weight > 0 ? 1 : weight < 0 ? -1 : 0;
            gradient[i] = (float)(gradient[i] + L1Factor * sign + 2 * L2Factor * weight);
        }
    }
}
