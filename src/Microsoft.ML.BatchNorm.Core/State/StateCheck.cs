using System.Globalization;
using System.Numerics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Checks of the values that a state may hold.</summary>
static class StateCheck
{
    public static void Finite<T>(ReadOnlySpan<T> values, int channels, string name)
        where T : struct, IFloatingPointIeee754<T> =>
        All(values, channels, name, "finite", T.NegativeInfinity);

    public static void NotNegative(ReadOnlySpan<double> values, int channels, string name) =>
        All(values, channels, name, "finite and not negative", -double.Epsilon);

    static void All<T>(ReadOnlySpan<T> values, int channels, string name, string must, T above)
        where T : struct, IFloatingPointIeee754<T>
    {
        if (values.Length != channels)
            throw new ArgumentException($"{name} has {values.Length} values for {channels} channels.", name);
        for (int c = 0; c < values.Length; c++)
        {
            if (!T.IsFinite(values[c]) || values[c] <= above)
                throw new ArgumentException(
                    string.Create(
                        CultureInfo.InvariantCulture, $"{name} of channel {c} is {values[c]}; it must be {must}."),
                    name);
        }
    }
}
