using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>Range checks of option values.</summary>
static class Check
{
    public static double Share(double value, string name) =>
        value is >= 0 and <= 1 ? value : throw OutOfRange(value, name, "between 0 and 1");

    public static double? Share(double? value, string name) => value is { } number ? Share(number, name) : value;

    public static double NotNegative(double value, string name) =>
        value >= 0 && double.IsFinite(value) ? value : throw OutOfRange(value, name, "finite and not negative");

    public static double? NotNegative(double? value, string name) =>
        value is { } number ? NotNegative(number, name) : value;

    public static double Finite(double value, string name) =>
        double.IsFinite(value) ? value : throw OutOfRange(value, name, "finite");

    public static double PositiveFinite(double value, string name) =>
        value > 0 && double.IsFinite(value) ? value : throw OutOfRange(value, name, "finite and positive");

    public static int Positive(int value, string name) =>
        value > 0 ? value : throw OutOfRange(value, name, "positive");

    public static T Defined<T>(T value, string name) where T : struct, Enum =>
        Enum.IsDefined(value)
            ? value
            : throw OutOfRange(value, name, $"one of {string.Join(", ", Enum.GetNames<T>())}");

    public static T? Defined<T>(T? value, string name) where T : struct, Enum =>
        value is { } defined ? Defined(defined, name) : value;

    public static T NotNull<T>(T value) where T : class
    {
        ArgumentNullException.ThrowIfNull(value);
        return value;
    }

    public static ArgumentOutOfRangeException OutOfRange(object? value, string name, string must) =>
        new(name, value, string.Create(CultureInfo.InvariantCulture, $"{name} must be {must}, not {value}."));
}
