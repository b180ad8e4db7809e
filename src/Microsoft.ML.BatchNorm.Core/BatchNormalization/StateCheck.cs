using System.Globalization;
using System.Numerics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Checks of the values that a state may hold.</summary>
static class StateCheck
{
    /// <summary>The greatest count up to which a double holds every whole number.</summary>
    const double MostCount = 1L << 53;

    public static void Finite<T>(ReadOnlySpan<T> values, int channels, string name)
        where T : struct, IFloatingPointIeee754<T> =>
        Throw(FiniteFault(values, channels, name), name);

    public static void NotNegative(ReadOnlySpan<double> values, int channels, string name) =>
        Throw(NotNegativeFault(values, channels, name), name);

    public static void Count(ReadOnlySpan<double> values, string name) => Throw(CountFault(values, name), name);

    public static void Rest(ReadOnlySpan<double> rests, ReadOnlySpan<double> sums, string name) =>
        Throw(RestFault(rests, sums, name), name);

    /// <summary>What is wrong with the values, in words, or null.</summary>
    public static string? FiniteFault<T>(ReadOnlySpan<T> values, int channels, string name)
        where T : struct, IFloatingPointIeee754<T> =>
        Fault(values, channels, name, "finite", T.NegativeInfinity);

    /// <inheritdoc cref="FiniteFault"/>
    public static string? NotNegativeFault(ReadOnlySpan<double> values, int channels, string name) =>
        Fault(values, channels, name, "finite and not negative", -double.Epsilon);

    /// <inheritdoc cref="FiniteFault"/>
    public static string? CountFault(ReadOnlySpan<double> values, string name, int perChannel = 1)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!(values[i] is >= 0 and <= MostCount) || !double.IsInteger(values[i]))
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"The {name} of channel {i / perChannel} is {values[i]}; "
                    + $"it must be a whole number up to 2^53 and not negative.");
        }
        return null;
    }

    /// <summary>What is wrong with the rests of sums, in words, or null.</summary>
    public static string? RestFault(ReadOnlySpan<double> rests, ReadOnlySpan<double> sums, string name)
    {
        if (rests.Length != sums.Length)
            return $"The array {name} has {rests.Length} values for {sums.Length} channels.";
        for (int c = 0; c < rests.Length; c++)
        {
            if (sums[c] + rests[c] != sums[c])
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"The {name} of channel {c} is {rests[c]}; it must be less than the last digit of {sums[c]}.");
        }
        return null;
    }

    static void Throw(string? fault, string name)
    {
        if (fault is not null)
            throw new ArgumentException(fault, name);
    }

    static string? Fault<T>(ReadOnlySpan<T> values, int channels, string name, string must, T above)
        where T : struct, IFloatingPointIeee754<T>
    {
        if (values.Length != channels)
            return $"The array {name} has {values.Length} values for {channels} channels.";
        for (int c = 0; c < values.Length; c++)
        {
            if (!T.IsFinite(values[c]) || values[c] <= above)
                return string.Create(
                    CultureInfo.InvariantCulture, $"The {name} of channel {c} is {values[c]}; it must be {must}.");
        }
        return null;
    }
}
