using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>Range checks of option values.</summary>
static class Check
{
    public static double Share(double value, string name) =>
        value is >= 0 and <= 1 ? value : throw OutOfRange(value, name, "between 0 and 1");

    /// <summary>The share of the old average that stays.</summary>
    public static double Momentum(double value, string name) =>
        value is >= 0 and <= 1
            ? value
            : throw new ArgumentOutOfRangeException(name, string.Create(
                CultureInfo.InvariantCulture,
                $"{Subject(name)} must be between 0 and 1, not {value}. It is Keras's: PyTorch's is 1 minus this."));

    public static double? Momentum(double? value, string name) =>
        value is { } number ? Momentum(number, name) : value;

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
        new(name, string.Create(CultureInfo.InvariantCulture, $"{Subject(name)} must be {must}, not {value}."));

    /// <summary>Things for a message, which names the first of very many only.</summary>
    /// <param name="things">The things.</param>
    /// <param name="most">How many are named.</param>
    /// <param name="name">How one of them is named; null for its text.</param>
    public static string List<T>(IReadOnlyCollection<T> things, int most = 100, Func<T, string>? name = null) =>
        string.Join(", ", things.Take(most).Select(name ?? (thing => $"{thing}")))
        + (things.Count > most ? $" and {things.Count - most} more" : "");

    /// <summary>
    /// The message of an argument's error, for use in another error: without the parameter's name, which .NET appends.
    /// </summary>
    public static string Text(ArgumentException error)
    {
        int end = error is ArgumentNullException || error.ParamName is not { Length: > 0 } name
            ? -1
            : error.Message.IndexOf($" (Parameter '{name}')", StringComparison.Ordinal);
        return end < 0 ? error.Message : error.Message[..end];
    }

    /// <summary>The subject of a message about an option or a parameter.</summary>
    public static string Subject(string name) =>
        char.IsUpper(name[0]) ? name
        : name.StartsWith("the ", StringComparison.Ordinal) ? $"The {name.AsSpan(4)}"
        : $"The argument {name}";
}
