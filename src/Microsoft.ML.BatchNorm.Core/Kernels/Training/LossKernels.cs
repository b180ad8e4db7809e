using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>The loss of one row, and its gradient times a factor.</summary>
static unsafe class LossKernels
{
    /// <summary><c>−log softmax(x)[target]</c>.</summary>
    /// <param name="x">The row's outputs; filled up to whole vectors.</param>
    /// <param name="classes">Their number.</param>
    /// <param name="target">The class.</param>
    /// <param name="factor">What the gradient is multiplied by.</param>
    /// <param name="gradient">Receives the gradient, with zeros behind it.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Softmax(float* x, int classes, int target, float factor, float* gradient)
    {
        Vector512<float> least = Vector512.Create(float.NegativeInfinity), greatest = least;
        for (int i = 0; i < classes; i += Vectors.Floats)
            greatest = Vector512.Max(greatest, Known(x + i, classes - i, least));
        float most = Greatest(greatest);
        Vector512<float> sums = default;
        for (int i = 0; i < classes; i += Vectors.Floats)
        {
            Vector512<float> e = Vector512.Exp(Known(x + i, classes - i, least) - Vector512.Create(most));
            e.Store(gradient + i);
            sums += e;
        }
        double sum = Wide.Sum(Vector512.WidenLower(sums) + Vector512.WidenUpper(sums));
        Vector512<float> share = Vector512.Create((float)(factor / sum));
        for (int i = 0; i < classes; i += Vectors.Floats)
            (Vector512.Load(gradient + i) * share).Store(gradient + i);
        gradient[target] -= factor;
        return Math.Log(sum) + ((double)most - x[target]);
    }

    /// <summary><c>Σ max(x, 0) − x·t + log(1 + e^−|x|)</c>.</summary>
    public static double Binary(float* x, float* targets, int count, double factor, float* gradient)
    {
        double loss = 0;
        for (int i = 0; i < count; i++)
        {
            double value = x[i], e = Math.Exp(-Math.Abs(value)), target = targets[i];
            loss += Math.Max(value, 0) - value * target + Math.Log(1 + e);
            gradient[i] = (float)(((value >= 0 ? 1 : e) / (1 + e) - target) * factor);
        }
        return loss;
    }

    /// <summary><c>Σ (x − t)²</c>.</summary>
    public static double Squared(float* x, float* targets, int count, double factor, float* gradient)
    {
        double loss = 0;
        for (int i = 0; i < count; i++)
        {
            double d = (double)x[i] - targets[i];
            loss += d * d;
            gradient[i] = (float)(2 * d * factor);
        }
        return loss;
    }

    /// <summary><c>Σ |x − t|</c>.</summary>
    public static double Absolute(float* x, float* targets, int count, double factor, float* gradient)
    {
        double loss = 0;
        for (int i = 0; i < count; i++)
        {
            double d = (double)x[i] - targets[i];
            loss += Math.Abs(d);
            gradient[i] = (float)((d > 0 ? 1 : d < 0 ? -1 : d) * factor);
        }
        return loss;
    }

    /// <summary><c>Σ ½d²</c> where <c>|d| ≤ δ</c>, else <c>δ(|d| − ½δ)</c>, with <c>d = x − t</c>.</summary>
    public static double Huber(float* x, float* targets, int count, double delta, double factor, float* gradient)
    {
        double loss = 0;
        for (int i = 0; i < count; i++)
        {
            double d = (double)x[i] - targets[i], size = Math.Abs(d);
            loss += size <= delta ? 0.5 * d * d : delta * (size - 0.5 * delta);
            gradient[i] = (float)(Math.Clamp(d, -delta, delta) * factor);
        }
        return loss;
    }

    /// <summary>A vector whose lanes behind the last value are <paramref name="fill"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Known(float* x, int left, Vector512<float> fill) =>
        left >= Vectors.Floats
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
