using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>The standard normal distribution, to 1e-12 of its value.</summary>
/// <remarks>
/// <c>(1 + 2z)·e^z²·erfc z</c> is a polynomial in <c>t = (z − 3.75)/(z + 3.75)</c> for all z from 0 (the form of
/// Shepherd and Laframboise, 1981); the coefficients are those of its Chebyshev expansion to the 16th.
/// </remarks>
static class NormalDistribution
{
    const double Middle = 3.75;

    static ReadOnlySpan<double> Coefficients =>
    [
        1.2375126308368276, -0.1402405985881999, 0.003585415648889024, 0.08227673860891582, -0.10880393454674518,
        0.09230431965535502, -0.05869335273476926, 0.028362285511418353, -0.009746819816717557, 0.0017556055559958584,
        0.0002944262967108813, -0.000290135816994983, 5.039038159480924e-05, 2.2403775123933655e-05,
        -1.011255380944931e-05, -1.035154082273948e-06, 9.400367071066285e-07,
    ];

    /// <summary>Φ(x).</summary>
    public static Vector512<double> Cumulative(Vector512<double> x)
    {
        Vector512<double> z = Vector512.Abs(x) * Math.Sqrt(0.5);
        Vector512<double> t = (z - Vector512.Create(Middle)) / (z + Vector512.Create(Middle));
        ReadOnlySpan<double> coefficients = Coefficients;
        Vector512<double> sum = Vector512.Create(coefficients[^1]);
        for (int i = coefficients.Length - 2; i >= 0; i--)
            sum = Wide.MultiplyAdd(sum, t, Vector512.Create(coefficients[i]));
        Vector512<double> tail = 0.5 * Vector512.Exp(-(z * z)) * sum / (Vector512<double>.One + z + z);
        return Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512<double>.Zero), tail, Vector512<double>.One - tail);
    }

    /// <summary>Its density <c>e^(−x²/2)/√2π</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Density(Vector512<double> x) =>
        Vector512.Exp(x * x * -0.5) * (1 / Math.Sqrt(Math.Tau));
}
