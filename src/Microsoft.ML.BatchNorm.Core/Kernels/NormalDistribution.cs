using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>The standard normal distribution, with a relative error of at most 2e-12.</summary>
/// <remarks>
/// For z ≥ 0, <c>(1 + 2z)·e^z²·erfc z</c> is close to a polynomial in <c>t = (z − 3.75)/(z + 3.75)</c> (Shepherd and
/// Laframboise, 1981). The coefficients are those of its Chebyshev expansion of degree 16.
/// </remarks>
static class NormalDistribution
{
    const double Middle = 3.75;

    /// <summary>Φ(x).</summary>
    public static Vector512<double> Cumulative(Vector512<double> x)
    {
        // Beyond 40 the tail is 0, and an infinite z would make t NaN.
        Vector512<double> z = Vector512.Min(Vector512.Abs(x) * Math.Sqrt(0.5), Vector512.Create(40.0));
        Vector512<double> t = (z - Vector512.Create(Middle)) / (z + Vector512.Create(Middle));
        // Not an array of constants, which code that is not optimized copies to the heap.
        Vector512<double> sum = Vector512.Create(9.400367071066285e-07);
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(-1.035154082273948e-06));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(-1.011255380944931e-05));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(2.2403775123933655e-05));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(5.039038159480924e-05));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(-0.000290135816994983));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(0.0002944262967108813));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(0.0017556055559958584));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(-0.009746819816717557));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(0.028362285511418353));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(-0.05869335273476926));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(0.09230431965535502));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(-0.10880393454674518));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(0.08227673860891582));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(0.003585415648889024));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(-0.1402405985881999));
        sum = Simd.MultiplyAdd(sum, t, Vector512.Create(1.2375126308368276));
        Vector512<double> tail = 0.5 * Vector512.Exp(-(z * z)) * sum / (Vector512<double>.One + z + z);
        return Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512<double>.Zero), tail, Vector512<double>.One - tail);
    }

    /// <summary>Its density <c>e^(−x²/2)/√2π</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Density(Vector512<double> x) =>
        Vector512.Exp(x * x * -0.5) * (1 / Math.Sqrt(Math.Tau));
}
