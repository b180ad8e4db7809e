using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>A function of sixteen floats, each by itself. NaN stays NaN.</summary>
interface IVectorMap
{
    Vector512<float> Map(Vector512<float> x);
}

readonly struct ReLUMap : IVectorMap
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Map(Vector512<float> x) => Vector512.Max(x, Vector512<float>.Zero);
}

readonly struct LeakyReLUMap(float slope) : IVectorMap
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Map(Vector512<float> x) =>
        Vector512.ConditionalSelect(
            Vector512.LessThanOrEqual(x, Vector512<float>.Zero), x * Vector512.Create(slope), x);
}

readonly struct SigmoidMap : IVectorMap
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Map(Vector512<float> x) =>
        Vector512<float>.One / (Vector512<float>.One + Vector512.Exp(-x));
}

/// <summary>In double, where <c>1 − 2/(e²ˣ + 1)</c> loses nothing that a float has; a series next to 0.</summary>
readonly struct TanhMap : IVectorMap
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Map(Vector512<float> x) =>
        Vector512.Narrow(Map(Vector512.WidenLower(x)), Map(Vector512.WidenUpper(x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> Map(Vector512<double> x)
    {
        Vector512<double> one = Vector512<double>.One, square = x * x;
        Vector512<double> far = one - Vector512.Create(2.0) / (Vector512.Exp(x + x) + one);
        Vector512<double> near = x + x * square * (square * Vector512.Create(2.0 / 15) - Vector512.Create(1.0 / 3));
        return Vector512.ConditionalSelect(
            Vector512.LessThan(Vector512.Abs(x), Vector512.Create(1.0 / 64)), near, far);
    }
}

/// <summary>
/// <c>x·Φ(x)</c> in double, with <c>2Φ(−|x|) = erfc(z) = t·exp(P(t) − z²)</c>, <c>z = |x|/√2</c>, <c>t = 1/(1 + z/2)</c>.
/// </summary>
/// <remarks>
/// P is the polynomial that meets <c>log(erfc(z)·exp(z²)/t)</c> at the Chebyshev nodes of t from 0 to 1: its relative
/// error is below 4e-10 for all z, so that the tail on the left is as exact as a float.
/// </remarks>
readonly struct GeluMap : IVectorMap
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Map(Vector512<float> x) =>
        Vector512.Narrow(Map(Vector512.WidenLower(x)), Map(Vector512.WidenUpper(x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> Map(Vector512<double> x)
    {
        Vector512<double> one = Vector512<double>.One, half = Vector512.Create(0.5);
        Vector512<double> z = Vector512.Abs(x) * Vector512.Create(0.70710678118654752);
        Vector512<double> t = one / Wide.MultiplyAdd(z, half, one);
        Vector512<double> p = Vector512.Create(-0.1460061232248942);
        p = Wide.MultiplyAdd(p, t, Vector512.Create(1.191725952674945));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(-4.241996587254107));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(8.53997542213959));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(-10.523459751352977));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(8.06365071068576));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(-3.915871030084963));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(1.4571586991580259));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(-0.4401406441482928));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(-0.08611711631485074));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(-0.0921269126465641));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(0.08373282920857222));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(0.3749864946447752));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(1.000000180441626));
        p = Wide.MultiplyAdd(p, t, Vector512.Create(-1.265512123885431));
        Vector512<double> tail = half * t * Vector512.Exp(p - z * z);
        Vector512<double> share = Vector512.ConditionalSelect(
            Vector512.GreaterThan(x, Vector512<double>.Zero), one - tail, tail);
        // An infinite x would give −∞·0.
        return Vector512.ConditionalSelect(
            Vector512.LessThan(x, Vector512.Create(-40.0)), Vector512<double>.Zero, x * share);
    }
}
