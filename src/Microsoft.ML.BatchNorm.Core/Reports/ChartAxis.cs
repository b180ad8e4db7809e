using System.Collections.Immutable;
using System.Globalization;

namespace Microsoft.ML.BatchNorm;

/// <summary>A range of values with its ticks, linear or logarithmic.</summary>
sealed record ChartAxis(double Low, double High, bool IsLogarithmic, ImmutableArray<ChartTick> Ticks)
{
    /// <summary>The axis is linear if the greatest value is less than this many times the least.</summary>
    const double LeastRatio = 30;

    /// <summary>Values that differ by a smaller share than this differ only by rounding.</summary>
    const double Rounding = 1e-6;

    /// <summary>
    /// The greatest end of an axis; its inverse is the least length. Within them no step overflows or underflows.
    /// </summary>
    const double Farthest = 1e300;

    /// <summary>The greatest power of two on an axis of ratios, a multiple of every step that reaches it.</summary>
    const double GreatestPower = 1000;

    /// <summary>The share of the axis below a value, from 0 to 1.</summary>
    public double Share(double value) => IsLogarithmic
        ? (Math.Log10(value) - Math.Log10(Low)) / (Math.Log10(High) - Math.Log10(Low))
        : (value - Low) / (High - Low);

    /// <summary>An axis that holds all values and has a tick at both ends.</summary>
    /// <param name="values">The values: finite, and at least one.</param>
    /// <param name="most">About how many ticks it has.</param>
    public static ChartAxis Of(IReadOnlyCollection<double> values, int most)
    {
        double low = Math.Max(values.Min(), -Farthest), high = Math.Min(values.Max(), Farthest);
        if (AreEqual(low, high))
            (low, high) = Math.Abs(low) < 1 / Farthest ? (0, 1) : (Math.Min(0, 2 * low), Math.Max(0, 2 * high));
        double step = NiceStep((high - low) / most);
        low = Math.Floor(low / step + 1e-9) * step;
        high = Math.Ceiling(high / step - 1e-9) * step;
        return new ChartAxis(low, high, false, Between(low, high, step));
    }

    /// <summary>Whether two values, the lower first, differ only by rounding.</summary>
    public static bool AreEqual(double low, double high) =>
        high - low <= Math.Max(1 / Farthest, Rounding * Math.Max(Math.Abs(low), Math.Abs(high)));

    /// <summary>A logarithmic axis if all values are positive and far apart, else a linear one.</summary>
    public static ChartAxis LogarithmicOf(IReadOnlyCollection<double> values, int most)
    {
        double low = values.Min(), high = values.Max();
        if (!(low > 1 / Farthest && high < Farthest && high / low >= LeastRatio))
            return Of(values, most);
        return Decades((int)Math.Floor(Math.Log10(low) + 1e-9), (int)Math.Ceiling(Math.Log10(high) - 1e-9), most);
    }

    /// <summary>A logarithmic axis from one power of ten to another, or a little further.</summary>
    public static ChartAxis Decades(int first, int last, int most)
    {
        int stride = (last - first + most - 1) / most;
        last = first + (last - first + stride - 1) / stride * stride;
        return new ChartAxis(
            Power(first), Power(last), true,
            [.. Enumerable.Range(0, (last - first) / stride + 1)
                .Select(i => first + i * stride)
                .Select(power => Power(power))
                .Select(power => new ChartTick(power, TickText(power, power, power)))]);
    }

    /// <summary>A logarithmic axis of ratios with ticks at powers of two, from ½ to 2 at least.</summary>
    /// <param name="ratios">
    /// The ratios. What is not finite and positive does not count; what is too far from 1 counts as the greatest.
    /// </param>
    /// <param name="most">About how many ticks it has.</param>
    public static ChartAxis Ratios(IEnumerable<double> ratios, int most)
    {
        double[] powers =
        [
            .. ratios.Where(ratio => ratio > 0 && double.IsFinite(ratio))
                .Select(ratio => Math.Clamp(Math.Log2(ratio), -GreatestPower, GreatestPower)),
            -1, 1,
        ];
        double low = powers.Min(), high = powers.Max(), step = Math.Max(1, NiceStep((high - low) / most));
        int first = (int)Math.Floor(low / step + 1e-9), last = (int)Math.Ceiling(high / step - 1e-9);
        return new ChartAxis(
            Math.Pow(2, first * step), Math.Pow(2, last * step), true,
            [.. Enumerable.Range(first, last - first + 1)
                .Select(i => new ChartTick(Math.Pow(2, i * step), RatioText(i * step)))]);
    }

    /// <summary>A power of two, with its exponent given, as a ratio.</summary>
    public static string RatioText(double exponent) => exponent switch
    {
        -1 => "½",
        -2 => "¼",
        -3 => "⅛",
        < 0 and >= -10 when double.IsInteger(exponent) => $"1/{1 << -(int)exponent}",
        >= 0 and <= 16 when double.IsInteger(exponent) => $"{1 << (int)exponent}",
        _ when double.IsInteger(exponent) => string.Create(CultureInfo.InvariantCulture, $"2^{exponent}"),
        _ => Html.Number(Math.Pow(2, exponent)),
    };

    /// <summary>Ticks at round numbers between two values that are no round numbers themselves.</summary>
    public static ChartAxis Inside(double low, double high, int most)
    {
        double step = NiceStep((high - low) / most);
        return new ChartAxis(low, high, false, Between(
            Math.Ceiling(low / step - 1e-9) * step, Math.Floor(high / step + 1e-9) * step, step));
    }

    /// <summary>An axis from <paramref name="low"/> to <paramref name="high"/> with ticks at whole numbers.</summary>
    public static ChartAxis Whole(double low, double high, int first, int most)
    {
        int step = (int)Math.Max(1, NiceStep((high - low) / most));
        var ticks = ImmutableArray.CreateBuilder<ChartTick>();
        for (int value = first; value <= high; value += value % step == 0 ? step : step - value % step)
            ticks.Add(new ChartTick(value, value.ToString(CultureInfo.InvariantCulture)));
        if (ticks.Count > 2 && ticks[1].Value - ticks[0].Value < 0.7 * step)
            ticks.RemoveAt(0);
        return new ChartAxis(low, high, false, ticks.ToImmutable());
    }

    /// <summary>The ticks from one multiple of the step to another.</summary>
    public static ImmutableArray<ChartTick> Between(double low, double high, double step) =>
        [.. Enumerable.Range(0, (int)Math.Round((high - low) / step) + 1)
            .Select(i => Math.Round(low / step) + i)
            .Select(steps => new ChartTick(
                steps * step, TickText(steps * step, step, Math.Max(Math.Abs(low), Math.Abs(high)))))];

    /// <summary>The least number of the form 1, 2 or 5 times a power of ten that is not below the value.</summary>
    public static double NiceStep(double value)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        double nice = (value / power) switch { <= 1.000001 => 1, <= 2.000001 => 2, <= 5.000001 => 5, _ => 10 };
        return nice * power;
    }

    static double Power(int exponent) =>
        double.Parse(string.Create(CultureInfo.InvariantCulture, $"1e{exponent}"), CultureInfo.InvariantCulture);

    /// <summary>A multiple of the step, with just enough digits to tell it from its neighbours.</summary>
    static string TickText(double value, double step, double largest)
    {
        if (Math.Abs(value) < step / 2)
            return "0";
        int digits = (int)Math.Ceiling(-Math.Log10(step) - 1e-9);
        if (largest < 1e5 && (digits <= 4 || largest >= 1e-3))
            return value.ToString("F" + Math.Max(0, digits), CultureInfo.InvariantCulture);
        int more = Math.Max(2, digits + (int)Math.Floor(Math.Log10(Math.Abs(value)) + 1e-9));
        return value.ToString($"0.{new string('#', more)}e0", CultureInfo.InvariantCulture);
    }
}

/// <summary>A value on an axis and its text.</summary>
readonly record struct ChartTick(double Value, string Text);
