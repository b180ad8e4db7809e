namespace Microsoft.ML.BatchNorm.Import;

/// <summary>
/// <c>y = (x − Mean)·Scale + Shift</c>, with one number for all values or one for each channel of an axis.
/// </summary>
/// <param name="Axis">The axis, with the batch as axis 0; 0 for the same numbers everywhere.</param>
/// <param name="Mean">What is subtracted first.</param>
/// <param name="Scale">The factors.</param>
/// <param name="Shift">What is added.</param>
sealed record ScaleAndShift(int Axis, double[] Mean, double[] Scale, double[] Shift)
{
    /// <summary>How far factors may be from 1 by the rounding of constants such as 1/6.</summary>
    const double Rounding = 1e-6;

    /// <summary>What a mean and a shift leave by rounding, where they cancel, as a share of the shift.</summary>
    const double Cancelled = 1e-7;

    public static ScaleAndShift Identity { get; } = new(0, [0], [1], [0]);

    /// <summary>Whether it changes no value by more than rounding.</summary>
    public bool IsIdentity => Scale.All(value => IsNear(value, 1))
        && Offsets.Zip(Shift).All(pair => Math.Abs(pair.First) <= Cancelled * Math.Abs(pair.Second));

    /// <summary>Whether it only adds.</summary>
    public bool IsShift => Array.TrueForAll(Scale, value => value == 1);

    /// <summary>The factor, if it is one for all values and nothing is added; else null.</summary>
    public double? Factor => Axis == 0 && Offsets.Single() == 0 ? Scale[0] : null;

    /// <summary>What is added after the factors.</summary>
    public IEnumerable<double> Offsets => Scale.Select((scale, i) => Shift[i] - Mean[i] * scale);

    public static bool IsNear(double value, double expected) =>
        Math.Abs(value - expected) <= Rounding * Math.Abs(expected);

    /// <summary>The one factor that makes the other map of this one; null if there is none.</summary>
    public double? RatioTo(ScaleAndShift other)
    {
        if (Axis != other.Axis || Scale[0] == 0)
            return null;
        double ratio = other.Scale[0] / Scale[0];
        bool isOne = Scale.Zip(other.Scale).All(pair => IsNear(pair.Second, pair.First * ratio))
            && Offsets.Zip(other.Offsets).All(pair => IsNear(pair.Second, pair.First * ratio));
        return isOne ? ratio : null;
    }

    /// <summary>
    /// This, and then <c>y·scale + shift</c>; null if both are per channel, but along different axes.
    /// </summary>
    public ScaleAndShift? Then(int axis, double[] scale, double[] shift)
    {
        if (axis != 0 && Axis != 0 && axis != Axis)
            return null;
        int length = Math.Max(Mean.Length, Math.Max(scale.Length, shift.Length));
        double[] mean = new double[length], scales = new double[length], shifts = new double[length];
        for (int i = 0; i < length; i++)
        {
            (double s, double t) = (At(scale, i), At(shift, i));
            (mean[i], scales[i], shifts[i]) = (At(Mean, i), At(Scale, i), At(Shift, i));
            // What is added before any factor stays apart, so that it keeps its digits.
            if (scales[i] == 1 && shifts[i] == 0 && s == 1)
                mean[i] -= t;
            else
                (scales[i], shifts[i]) = (scales[i] * s, shifts[i] * s + t);
        }
        return new ScaleAndShift(Math.Max(Axis, axis), mean, scales, shifts);

        static double At(double[] values, int i) => values.Length == 1 ? values[0] : values[i];
    }
}
