using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>A function of each value of a vector. NaN gives NaN.</summary>
interface IActivationFunction
{
    Vector512<float> Forward(Vector512<float> x);

    /// <summary>Computes the gradient by x from that by y = f(x).</summary>
    Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy);
}

/// <summary>f(x) = f′(x)·x, so that one function computes both. At 0, f′ is the slope for negative values.</summary>
readonly struct ReLUFunction : IActivationFunction, IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Backward(x, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) => Backward(x, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(Vector512.LessThanOrEqual(y, Vector512<float>.Zero), Vector512<float>.Zero, dy);
}

/// <summary>f(x) = f′(x)·x, so that one function computes both. At 0, f′ is the slope for negative values.</summary>
/// <param name="slope">
/// Not 0, since 0·−∞ is NaN. If the function is fused, positive, so that the output has the sign of the input.
/// </param>
readonly struct LeakyReLUFunction(float slope) : IActivationFunction, IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Backward(x, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) => Backward(x, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(y, Vector512<float>.Zero), dy * Vector512.Create(slope), dy);
}

readonly struct SigmoidFunction : IActivationFunction
{
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512<float>.One / (Vector512<float>.One + Vector512.Exp(-x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        dy * (y * (Vector512<float>.One - y));
}

/// <summary>
/// Computed in double: there (1 − e^−2|x|) keeps enough digits for a float until x is so small that tanh x is x.
/// </summary>
readonly struct TanhFunction : IActivationFunction
{
    const double Linear = 1e-5;

    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.Narrow(Tanh(Vector512.WidenLower(x)), Tanh(Vector512.WidenUpper(x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        dy * ((Vector512<float>.One - y) * (Vector512<float>.One + y));

    static Vector512<double> Tanh(Vector512<double> x)
    {
        Vector512<double> e = Vector512.Exp(Vector512.Abs(x) * -2.0);
        Vector512<double> size = (Vector512<double>.One - e) / (Vector512<double>.One + e);
        return Vector512.ConditionalSelect(
            Vector512.LessThan(Vector512.Abs(x), Vector512.Create(Linear)), x, Vector512.CopySign(size, x));
    }
}

readonly struct GeluFunction : IActivationFunction
{
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.Narrow(Gelu(Vector512.WidenLower(x)), Gelu(Vector512.WidenUpper(x)));

    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        dy * Vector512.Narrow(Slope(Vector512.WidenLower(x)), Slope(Vector512.WidenUpper(x)));

    /// <summary>Far below 0 the result is set to 0, since −∞ would give −∞·0.</summary>
    static Vector512<double> Gelu(Vector512<double> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512.Create(-40.0)), Vector512<double>.Zero,
            x * NormalDistribution.Cumulative(x));

    /// <summary>The density is 0 beyond ±40, and ±∞·0 would be NaN.</summary>
    static Vector512<double> Slope(Vector512<double> x) =>
        NormalDistribution.Cumulative(x)
            + Vector512.ClampNative(x, Vector512.Create(-40.0), Vector512.Create(40.0)) * NormalDistribution.Density(x);
}

readonly struct SiLUFunction : IActivationFunction
{
    /// <summary>Far below 0 the result is set to 0, since −∞ would give −∞·0.</summary>
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512.Create(-110f)), Vector512<float>.Zero, x * Sigmoid(x));

    /// <summary><c>σ·(1 + x·(1 − σ))</c>, with a finite x, since ±∞ would give ±∞·0.</summary>
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy)
    {
        Vector512<float> sigmoid = Sigmoid(x);
        x = Vector512.ClampNative(x, Vector512.Create(float.MinValue), Vector512.Create(float.MaxValue));
        return dy * (sigmoid * (Vector512<float>.One + x * (Vector512<float>.One - sigmoid)));
    }

    /// <summary>
    /// From e^−|x|, because 1/(1 + e⁻ˣ) is 0 below −88.7, where x·σ(x) is still a normal float at first.
    /// </summary>
    static Vector512<float> Sigmoid(Vector512<float> x)
    {
        Vector512<float> e = Vector512.Exp(-Vector512.Abs(x));
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512<float>.Zero), e, Vector512<float>.One)
            / (Vector512<float>.One + e);
    }
}

/// <summary>The slope at −3 is 0, and at 3 it is 1, as in libtorch 2.10.</summary>
readonly struct HardSwishFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(x, Vector512.Create(-3f)), Vector512<float>.Zero,
            x * HardSigmoidFunction.Of(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy)
    {
        Vector512<float> rising = Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(x, Vector512.Create(3f)), dy,
            dy * (x / Vector512.Create(3f) + Vector512.Create(0.5f)));
        return Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(x, Vector512.Create(-3f)), Vector512<float>.Zero, rising);
    }
}

/// <summary>The slope at ±3 is 0.</summary>
readonly struct HardSigmoidFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Of(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(Vector512.Abs(x), Vector512.Create(3f)), Vector512<float>.Zero,
            dy / Vector512.Create(6f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x) =>
        Vector512.Min(Vector512.Max(x + Vector512.Create(3f), Vector512<float>.Zero), Vector512.Create(6f))
            / Vector512.Create(6f);
}

/// <summary>The slope at 0 and 6 is 0.</summary>
readonly struct ReLU6Function : IActivationFunction, IFusedActivation
{
    public static bool IsUsed => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) =>
        Vector512.Min(Vector512.Max(x, Vector512<float>.Zero), Vector512.Create(6f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) => Backward(x, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(y, Vector512<float>.Zero)
                | Vector512.GreaterThanOrEqual(y, Vector512.Create(6f)),
            Vector512<float>.Zero, dy);
}

/// <summary>
/// An activation that is applied in the same pass as the normalization before it. Its slope follows from its output
/// alone. NaN stays NaN.
/// </summary>
interface IFusedActivation
{
    static abstract bool IsUsed { get; }

    Vector512<float> Forward(Vector512<float> x);

    Vector512<float> Backward(Vector512<float> y, Vector512<float> dy);
}

readonly struct NoActivation : IFusedActivation
{
    public static bool IsUsed => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> y, Vector512<float> dy) => dy;
}

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
