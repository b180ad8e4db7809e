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

/// <summary>ReLU with a slope of 0, and LeakyReLU; at 0 the slope is the one below.</summary>
readonly struct LeakyReLUFunction(float slope) : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Forward(Vector512<float> x) => Slope(x, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Backward(Vector512<float> x, Vector512<float> y, Vector512<float> dy) => Slope(x, dy);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    Vector512<float> Slope(Vector512<float> at, Vector512<float> value) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(at, Vector512<float>.Zero),
            slope == 0 ? Vector512<float>.Zero : value * Vector512.Create(slope), value);
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
            Vector512.LessThan(x, Vector512.Create(-40.0)), Vector512<double>.Zero, x * NormalDistribution.Cumulative(x));

    static Vector512<double> Slope(Vector512<double> x) =>
        NormalDistribution.Cumulative(x) + x * NormalDistribution.Density(x);
}
