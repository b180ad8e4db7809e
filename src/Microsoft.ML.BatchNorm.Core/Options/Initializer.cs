using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>How a parameter gets its first value. The same initializer gives the same values at every call.</summary>
/// <remarks>Names and defaults follow <c>keras.initializers</c>.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(ConstantInitializer), "constant")]
[JsonDerivedType(typeof(UniformInitializer), "uniform")]
[JsonDerivedType(typeof(NormalInitializer), "normal")]
public abstract record Initializer : IInitializer
{
    private protected Initializer()
    {
    }

    /// <summary>All zeros.</summary>
    public static Initializer Zeros { get; } = Constant(0);

    /// <summary>All ones.</summary>
    public static Initializer Ones { get; } = Constant(1);

    /// <summary>Every value is <paramref name="value"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not finite.</exception>
    public static Initializer Constant(double value) => new ConstantInitializer(value);

    /// <summary>Uniform on [<paramref name="minValue"/>, <paramref name="maxValue"/>).</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A limit is not finite, or the lower limit is above the upper one.
    /// </exception>
    public static Initializer Uniform(double minValue = -0.05, double maxValue = 0.05, int seed = 0) =>
        new UniformInitializer(minValue, maxValue, seed);

    /// <summary>Normal with the given mean and standard deviation.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is not finite, or the deviation is negative.</exception>
    public static Initializer Normal(double mean = 0, double standardDeviation = 0.05, int seed = 0) =>
        new NormalInitializer(mean, standardDeviation, seed);

    /// <summary>Writes as many values as <paramref name="values"/> has.</summary>
    public abstract void Fill(Span<double> values);

    void IInitializer.Fill(Span<float> values, (long In, long Out) fan, Random random)
    {
        double[] exact = new double[values.Length];
        Fill(exact);
        for (int i = 0; i < exact.Length; i++)
            values[i] = (float)exact[i];
    }

    internal sealed record ConstantInitializer(double Value) : Initializer
    {
        public double Value { get; } = Check.Finite(Value, "value");

        public override void Fill(Span<double> values) => values.Fill(Value);
    }

    internal sealed record UniformInitializer(double MinValue, double MaxValue, int Seed) : Initializer
    {
        public double MinValue { get; } = Check.Finite(MinValue, "minValue");

        public double MaxValue { get; } = Check.Finite(MaxValue, "maxValue") >= MinValue
            ? MaxValue
            : throw Check.OutOfRange(MinValue, "minValue", $"at most maxValue ({MaxValue})");

        public override void Fill(Span<double> values)
        {
            var random = new Random(Seed);
            foreach (ref double value in values)
                value = MinValue + (MaxValue - MinValue) * random.NextDouble();
        }
    }

    internal sealed record NormalInitializer(double Mean, double StandardDeviation, int Seed) : Initializer
    {
        public double Mean { get; } = Check.Finite(Mean, "mean");

        public double StandardDeviation { get; } = Check.NotNegative(StandardDeviation, "standardDeviation");

        public override void Fill(Span<double> values)
        {
            var random = new Random(Seed);
            foreach (ref double value in values)
                value = Mean + RandomNumbers.NextNormal(random, StandardDeviation);
        }
    }
}

/// <summary>Fills a fresh tensor.</summary>
interface IInitializer
{
    /// <param name="values">Receives the values.</param>
    /// <param name="fan">The number of inputs and outputs that a value connects.</param>
    /// <param name="random">The layer's random numbers, for an initializer without a seed of its own.</param>
    void Fill(Span<float> values, (long In, long Out) fan, Random random);
}
