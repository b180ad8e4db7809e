using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A column's map in the numbers of ONNX's operator, <c>(x − mean)/√(variance + epsilon)·scale + shift</c>, which has
/// the type of its input but an epsilon in float.
/// </summary>
/// <remarks>
/// Variance and epsilon are the layer's, rounded. What the rounding does to the deviation is made good in the scale,
/// and what it does to the mean in the shift, so that the operator is as exact as its type.
/// </remarks>
sealed class OnnxNumbers
{
    /// <summary>
    /// A mean of more than so many deviations is subtracted before the operator. Runtimes compute the operator as
    /// <c>x·a + b</c>, where a mean of 2ⁿ deviations costs n of a float's 24 bits.
    /// </summary>
    const double FarFromZero = 4;

    readonly bool inDouble;

    OnnxNumbers(BatchNormalizationColumn column, bool inDouble)
    {
        this.inDouble = inDouble;
        AffineMap map = column.Map;
        Epsilon = float.IsNormal((float)column.Options.EffectiveEpsilon) ? (float)column.Options.EffectiveEpsilon : 0;
        Mean = new double[map.Channels];
        Variance = new double[map.Channels];
        Scale = new double[map.Channels];
        Shift = new double[map.Channels];
        for (int c = 0; c < map.Channels; c++)
        {
            double variance = column.State.MovingVariance[c];
            IsFarFromZero |= Math.Abs(map.Mean[c]) > FarFromZero * Math.Sqrt(variance + column.Options.EffectiveEpsilon);
            Mean[c] = Round(map.Mean[c]);
            Shift[c] = Round(map.Shift[c] - (map.Mean[c] - Mean[c]) * map.Scale[c]);
            Variance[c] = IsNormal(Round(Round(variance) + Epsilon)) ? Round(variance) : 1;
            Scale[c] = Round(map.Scale[c] * Math.Sqrt(Round(Variance[c] + Epsilon)));
        }
    }

    /// <summary>The numbers in float, or null where floats do not hold them, as for a deviation of 1e-42.</summary>
    public static OnnxNumbers? InSingle(BatchNormalizationColumn column)
    {
        var numbers = new OnnxNumbers(column, inDouble: false);
        foreach (double scale in column.Map.Scale)
        {
            if (scale != 0 && !numbers.IsNormal(scale))
                return null;
        }
        return numbers.IsFinite ? numbers : null;
    }

    public static OnnxNumbers InDouble(BatchNormalizationColumn column) => new(column, inDouble: true);

    /// <summary>Whether the mean is subtracted first, and the operator's mean is zero.</summary>
    public bool IsFarFromZero { get; }

    public float Epsilon { get; }

    public double[] Mean { get; }

    public double[] Variance { get; }

    public double[] Scale { get; }

    public double[] Shift { get; }

    bool IsFinite =>
        Array.TrueForAll(Mean, double.IsFinite) && Array.TrueForAll(Shift, double.IsFinite)
        && Array.TrueForAll(Scale, double.IsFinite);

    double Round(double value) => inDouble ? value : (float)value;

    bool IsNormal(double value) => inDouble ? double.IsNormal(value) : float.IsNormal((float)value);
}
