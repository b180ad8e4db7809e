using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A constraint on γ or β, which is projected onto it after each training step. The norm is Euclidean, over all
/// channels.
/// </summary>
/// <remarks>
/// Names, defaults and formulas follow <c>keras.constraints</c>, which adds 1e-7 to the norm before it divides by it.
/// </remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(NonNegativeConstraint), "nonNegative")]
[JsonDerivedType(typeof(NormConstraint), "norm")]
public abstract record Constraint
{
    const double KerasEpsilon = 1e-7;

    private protected Constraint()
    {
    }

    /// <summary>Negative weights become 0.</summary>
    public static Constraint NonNegative { get; } = new NonNegativeConstraint();

    /// <summary>The norm is brought to 1.</summary>
    public static Constraint UnitNorm { get; } = new NormConstraint(1, 1, 1);

    /// <summary>The norm is at most <paramref name="maxValue"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public static Constraint MaxNorm(double maxValue = 2) =>
        new NormConstraint(0, maxValue, 1);

    /// <summary>
    /// Each step moves the norm by the share <paramref name="rate"/> of its way into
    /// [<paramref name="minValue"/>, <paramref name="maxValue"/>].
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A limit is negative or not finite, the lower limit is above the upper one, or the rate is not between 0 and 1.
    /// </exception>
    public static Constraint MinMaxNorm(double minValue = 0, double maxValue = 1, double rate = 1) =>
        new NormConstraint(minValue, maxValue, rate);

    /// <summary>Projects <paramref name="weights"/> in place.</summary>
    public abstract void Project(Span<float> weights);

    internal sealed record NonNegativeConstraint : Constraint
    {
        public override void Project(Span<float> weights)
        {
            foreach (ref float weight in weights)
                weight = weight >= 0 ? weight : 0;
        }
    }

    internal sealed record NormConstraint(double MinValue, double MaxValue, double Rate) : Constraint
    {
        public double MinValue { get; } = Check.NotNegative(MinValue, "minValue");

        public double MaxValue { get; } = Check.NotNegative(MaxValue, "maxValue") >= MinValue
            ? MaxValue
            : throw Check.OutOfRange(MinValue, "minValue", $"at most maxValue ({MaxValue})");

        public double Rate { get; } = Check.Share(Rate, "rate");

        public override void Project(Span<float> weights)
        {
            double squares = 0;
            foreach (float weight in weights)
                squares += (double)weight * weight;
            double norm = Math.Sqrt(squares);
            double desired = Rate * Math.Clamp(norm, MinValue, MaxValue) + (1 - Rate) * norm;
            double factor = desired / (KerasEpsilon + norm);
            foreach (ref float weight in weights)
                weight = (float)(weight * factor);
        }
    }
}
