using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>The loss of one row, and its gradient times a factor.</summary>
static unsafe class LossKernels
{
    /// <summary><c>−log softmax(x)[target]</c>.</summary>
    /// <param name="x">The row's outputs, padded to whole vectors.</param>
    /// <param name="classes">The number of outputs.</param>
    /// <param name="target">The index of the right class.</param>
    /// <param name="factor">What the gradient is multiplied by.</param>
    /// <param name="gradient">Receives the gradient; its padding is zero.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Softmax(float* x, int classes, int target, float factor, float* gradient)
    {
        Vector512<float> least = Vector512.Create(float.NegativeInfinity), greatest = least;
        for (int i = 0; i < classes; i += Simd.Floats)
            greatest = Vector512.Max(greatest, Known(x + i, classes - i, least));
        float most = Greatest(greatest);
        Vector512<float> sums = default;
        for (int i = 0; i < classes; i += Simd.Floats)
        {
            Vector512<float> e = Vector512.Exp(Known(x + i, classes - i, least) - Vector512.Create(most));
            e.Store(gradient + i);
            sums += e;
        }
        double sum = Simd.Sum(Vector512.WidenLower(sums) + Vector512.WidenUpper(sums));
        Vector512<float> share = Vector512.Create((float)(factor / sum));
        for (int i = 0; i < classes; i += Simd.Floats)
            (Vector512.Load(gradient + i) * share).Store(gradient + i);
        gradient[target] -= factor;
        return Math.Log(sum) + ((double)most - x[target]);
    }

    /// <summary>The sum of the losses of all outputs.</summary>
    /// <param name="loss">The loss of one output.</param>
    /// <param name="x">The row's outputs, padded to whole vectors.</param>
    /// <param name="targets">As many targets, without padding.</param>
    /// <param name="count">The number of outputs.</param>
    /// <param name="factor">What the gradient is multiplied by.</param>
    /// <param name="gradient">Receives the gradient; its padding is zero.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Sum<TLoss>(TLoss loss, float* x, float* targets, int count, double factor, float* gradient)
        where TLoss : struct, IElementLoss
    {
        Vector512<double> sum = default, factors = Vector512.Create(factor);
        for (int i = 0; i < count; i += Simd.Floats)
        {
            int left = count - i;
            Vector512<float> values = Vector512.Load(x + i), wanted = Simd.LoadPart(targets + i, Math.Min(left, 16));
            Vector512<double> lower = Half(
                loss, Vector512.WidenLower(values), Vector512.WidenLower(wanted), left, ref sum), upper = default;
            if (left > Simd.Floats / 2)
            {
                upper = Half(
                    loss, Vector512.WidenUpper(values), Vector512.WidenUpper(wanted), left - Simd.Floats / 2,
                    ref sum);
            }
            Vector512.Narrow(lower * factors, upper * factors).Store(gradient + i);
        }
        return Simd.Sum(sum);
    }

    /// <summary>Adds the losses of up to eight outputs to a sum, and returns their derivatives.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> Half<TLoss>(
        TLoss loss, Vector512<double> x, Vector512<double> target, int left, ref Vector512<double> sum)
        where TLoss : struct, IElementLoss
    {
        Vector512<double> value = loss.Of(x, target, out Vector512<double> slope);
        if (left < Simd.Floats / 2)
        {
            Vector512<double> kept = Vector512.LessThan(Vector512<double>.Indices, Vector512.Create((double)left));
            value = Vector512.ConditionalSelect(kept, value, Vector512<double>.Zero);
            slope = Vector512.ConditionalSelect(kept, slope, Vector512<double>.Zero);
        }
        sum += value;
        return slope;
    }

    /// <summary>A vector whose padding is replaced by <paramref name="fill"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Known(float* x, int left, Vector512<float> fill) =>
        left >= Simd.Floats
            ? Vector512.Load(x)
            : Vector512.ConditionalSelect(
                Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(left)).AsSingle(), Vector512.Load(x), fill);

    static float Greatest(Vector512<float> values)
    {
        Vector256<float> eight = Vector256.Max(values.GetLower(), values.GetUpper());
        Vector128<float> four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return MathF.Max(MathF.Max(four[0], four[1]), MathF.Max(four[2], four[3]));
    }
}

/// <summary>A loss of one output and its target, for a vector of them.</summary>
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
