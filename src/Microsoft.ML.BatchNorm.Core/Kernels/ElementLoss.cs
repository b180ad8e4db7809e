using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>A loss of one output and its target, on a vector.</summary>
interface IElementLoss
{
    /// <param name="x">The outputs.</param>
    /// <param name="target">Their targets.</param>
    /// <param name="slope">The derivative by x.</param>
    Vector512<double> Of(Vector512<double> x, Vector512<double> target, out Vector512<double> slope);
}

/// <summary><c>max(x, 0) − x·t + log(1 + e^−|x|)</c>.</summary>
readonly struct BinaryLoss : IElementLoss
{
    public Vector512<double> Of(Vector512<double> x, Vector512<double> target, out Vector512<double> slope)
    {
        Vector512<double> e = Vector512.Exp(-Vector512.Abs(x)), sum = Vector512<double>.One + e;
        Vector512<double> isNegative = Vector512.LessThan(x, Vector512<double>.Zero);
        slope = Vector512.ConditionalSelect(isNegative, e, Vector512<double>.One) / sum - target;
        return Vector512.Max(x, Vector512<double>.Zero) - x * target + Vector512.Log(sum);
    }
}

/// <summary><c>(x − t)²</c>.</summary>
readonly struct SquaredLoss : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<double> Of(Vector512<double> x, Vector512<double> target, out Vector512<double> slope)
    {
        Vector512<double> d = x - target;
        slope = d + d;
        return d * d;
    }
}

/// <summary><c>|x − t|</c>.</summary>
readonly struct AbsoluteLoss : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<double> Of(Vector512<double> x, Vector512<double> target, out Vector512<double> slope)
    {
        Vector512<double> d = x - target;
        slope = Vector512.ConditionalSelect(
            Vector512.Equals(d, Vector512<double>.Zero), d, Vector512.CopySign(Vector512<double>.One, d));
        return Vector512.Abs(d);
    }
}

/// <summary><c>½d²</c> where <c>|d| ≤ δ</c>, else <c>δ(|d| − ½δ)</c>, with <c>d = x − t</c>.</summary>
readonly struct LinearTailLoss(double delta) : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<double> Of(Vector512<double> x, Vector512<double> target, out Vector512<double> slope)
    {
        Vector512<double> d = x - target, size = Vector512.Abs(d), limit = Vector512.Create(delta);
        Vector512<double> isTail = Vector512.GreaterThan(size, limit);
        slope = Vector512.ConditionalSelect(isTail, Vector512.CopySign(limit, d), d);
        return Vector512.ConditionalSelect(isTail, limit * (size - limit * 0.5), d * d * 0.5);
    }
}
