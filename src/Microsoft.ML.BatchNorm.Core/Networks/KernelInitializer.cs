using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// How a kernel or bias gets its first values. Most initializers scale by fan-in and fan-out, the numbers of inputs and
/// outputs that a weight connects; for a convolution, channels and filters times the kernel's area. An immutable value.
/// </summary>
/// <remarks>Names follow <c>keras.initializers</c>.</remarks>
[JsonConverter(typeof(KernelInitializerConverter))]
public abstract record KernelInitializer : IInitializer
{
    private protected KernelInitializer()
    {
    }

    /// <summary>Uniform on ±√(6/(fan-in + fan-out)) (Glorot and Bengio, 2010); Keras's default.</summary>
    public static KernelInitializer GlorotUniform { get; } = new Scaled("glorot_uniform", 1, FanMode.Average, false);

    /// <summary>
    /// Normal, truncated at two standard deviations, with variance 2/(fan-in + fan-out) after truncation.
    /// </summary>
    public static KernelInitializer GlorotNormal { get; } = new Scaled("glorot_normal", 1, FanMode.Average, true);

    /// <summary>Uniform on ±√(6/fan-in) (He and others, 2015).</summary>
    public static KernelInitializer HeUniform { get; } = new Scaled("he_uniform", 2, FanMode.In, false);

    /// <summary>Normal, truncated at two standard deviations, with variance 2/fan-in after truncation.</summary>
    public static KernelInitializer HeNormal { get; } = new Scaled("he_normal", 2, FanMode.In, true);

    /// <summary>
    /// Uniform on ±1/√fan-in, as kernels and biases of PyTorch's <c>Linear</c> and <c>Conv2d</c> begin.
    /// </summary>
    public static KernelInitializer PyTorch { get; } = new Scaled("pytorch", 1.0 / 3, FanMode.In, false);

    /// <summary>All zeros.</summary>
    public static KernelInitializer Zeros { get; } = new Constant(0);

    /// <summary>Every value is <paramref name="value"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not finite.</exception>
    public static KernelInitializer Of(double value) => new Constant(Check.Finite(value, nameof(value)));

    /// <summary>The initializers that a definition refers to by name.</summary>
    internal static IEnumerable<Scaled> Named =>
        new[] { GlorotUniform, GlorotNormal, HeUniform, HeNormal, PyTorch }.Cast<Scaled>();

    void IInitializer.Fill(Span<float> values, (long In, long Out) fan, Random random) => Fill(values, fan, random);

    private protected abstract void Fill(Span<float> values, (long In, long Out) fan, Random random);

    internal enum FanMode
    {
        In,
        Average,
    }

    internal sealed record Constant(double Value) : KernelInitializer
    {
        private protected override void Fill(Span<float> values, (long In, long Out) fan, Random random) =>
            values.Fill((float)Value);
    }

    /// <summary>Random values with variance <c>gain/fan</c>, as Keras's <c>VarianceScaling</c> gives them.</summary>
    internal sealed record Scaled(string Name, double Gain, FanMode Fan, bool IsNormal) : KernelInitializer
    {
        /// <summary>The standard deviation of a standard normal distribution that is truncated at ±2.</summary>
        const double TruncatedDeviation = 0.87962566103423978;

        private protected override void Fill(Span<float> values, (long In, long Out) fan, Random random)
        {
            double variance = Gain / (Fan == FanMode.In ? fan.In : (fan.In + fan.Out) / 2.0);
            double deviation = Math.Sqrt(variance) / TruncatedDeviation, limit = Math.Sqrt(3 * variance);
            foreach (ref float value in values)
                value = (float)(IsNormal ? deviation * Truncated(random) : limit * (2 * random.NextDouble() - 1));
        }

        static double Truncated(Random random)
        {
            while (true)
            {
                double value = RandomNumbers.NextNormal(random);
                if (Math.Abs(value) <= 2)
                    return value;
            }
        }
    }
}

/// <summary>An initializer in JSON: its name, or a number for an initializer that sets every value to it.</summary>
sealed class KernelInitializerConverter : JsonConverter<KernelInitializer>
{
    public override KernelInitializer? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number)
            return KernelInitializer.Of(reader.GetDouble());
        string? name = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        return KernelInitializer.Named.FirstOrDefault(known => known.Name == name)
            ?? throw new JsonException("A kernel's initializer is a number or "
                + string.Join(", ", KernelInitializer.Named.Select(known => known.Name)) + ".");
    }

    public override void Write(Utf8JsonWriter writer, KernelInitializer initializer, JsonSerializerOptions options)
    {
        if (initializer is KernelInitializer.Constant constant)
            writer.WriteNumberValue(constant.Value);
        else
            writer.WriteStringValue(((KernelInitializer.Scaled)initializer).Name);
    }
}
