using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>A function of one value, on a vector. NaN gives NaN.</summary>
interface IActivationFunction
{
    Vector512<float> Forward(Vector512<float> x);

    /// <summary>The gradient by x from that by y = f(x).</summary>
    Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy);
}

/// <summary>f(x) = f′(x)·x; at 0 the slope is the one below.</summary>
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

/// <summary>f(x) = f′(x)·x; at 0 the slope is the one below.</summary>
/// <param name="slope">
/// Not 0, which would make NaN of −∞; above 0 where it is fused, so that the output has the input's sign.
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

/// <summary>In double, where (1 − e^−2|x|) keeps a float's digits until tanh x is x to as many.</summary>
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

    /// <summary>0 far below 0, where an infinite x would give −∞·0.</summary>
    static Vector512<double> Gelu(Vector512<double> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512.Create(-40.0)), Vector512<double>.Zero,
            x * NormalDistribution.Cumulative(x));

    static Vector512<double> Slope(Vector512<double> x) =>
        NormalDistribution.Cumulative(x) + x * NormalDistribution.Density(x);
}
