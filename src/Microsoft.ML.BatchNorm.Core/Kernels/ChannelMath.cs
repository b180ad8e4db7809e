using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// The arithmetic of one number a channel, eight channels at a time: what a batch costs beside reading and writing it.
/// </summary>
static unsafe class ChannelMath
{
    const int Lanes = 8;

    /// <summary>1/√(variance + ε) of each channel; 0 where neither is above 0.</summary>
    public static void InverseDeviation(
        ReadOnlySpan<double> m2, ReadOnlySpan<double> count, double epsilon, Span<double> inverse)
    {
        fixed (double* squares = m2, counts = count, result = inverse)
        {
            for (int c = 0; c < inverse.Length; c += Lanes)
            {
                int n = inverse.Length - c;
                Vector512<double> variance =
                    Load(squares + c, n) / Vector512.Max(Load(counts + c, n), Vector512<double>.One);
                Store(InverseRoot(variance + Vector512.Create(epsilon)), result + c, n);
            }
        }
    }

    /// <summary>The same of variances as they are.</summary>
    public static void InverseDeviation(ReadOnlySpan<double> variance, double epsilon, Span<double> inverse)
    {
        fixed (double* variances = variance, result = inverse)
        {
            for (int c = 0; c < inverse.Length; c += Lanes)
            {
                int n = inverse.Length - c;
                Store(InverseRoot(Load(variances + c, n) + Vector512.Create(epsilon)), result + c, n);
            }
        }
    }

    /// <summary>
    /// The moving statistics after a batch, of which the share <paramref name="decay"/> was there before; those of a
    /// channel without a value stay. False where a variance is not finite: divided by n − <paramref name="less"/>, that
    /// is where a channel has too few values, or overflowed.
    /// </summary>
    public static bool Move(
        BatchStatistics statistics, int less, double decay, ReadOnlySpan<double> oldMean,
        ReadOnlySpan<double> oldVariance,
        Span<double> newMean, Span<double> newVariance)
    {
        Vector512<double> stays = Vector512.Create(decay), comes = Vector512.Create(1 - decay);
        Vector512<double> freedom = Vector512.Create((double)less);
        bool finite = true;
        fixed (double* counts = statistics.Count, means = statistics.Mean, squares = statistics.M2)
        fixed (double* fromMean = oldMean, fromVariance = oldVariance, toMean = newMean, toVariance = newVariance)
        {
            for (int c = 0; c < newMean.Length; c += Lanes)
            {
                int n = newMean.Length - c;
                Vector512<double> count = Load(counts + c, n), mean = Load(fromMean + c, n),
                    variance = Load(fromVariance + c, n);
                Vector512<double> none = Vector512.Equals(count, Vector512<double>.Zero);
                Vector512<double> batch = Load(squares + c, n) / (count - freedom);
                finite &= Vector512.EqualsAll(
                    Vector512.ConditionalSelect(none, Vector512<double>.Zero, batch - batch), Vector512<double>.Zero);
                Store(
                    Vector512.ConditionalSelect(none, mean, stays * mean + comes * Load(means + c, n)), toMean + c, n);
                Store(Vector512.ConditionalSelect(none, variance, stays * variance + comes * batch), toVariance + c, n);
            }
        }
        return finite;
    }

    /// <summary>
    /// Center, scale and shift of <c>γ (x − mean)·inverse + β</c> as floats: the center is the float next to the mean,
    /// and what it lacks goes into the shift.
    /// </summary>
    public static void Affine(
        ReadOnlySpan<double> mean, ReadOnlySpan<double> inverse, ReadOnlySpan<float> gamma, ReadOnlySpan<float> beta,
        Span<float> center, Span<float> scale, Span<float> shift)
    {
        fixed (double* means = mean, inverses = inverse)
        fixed (float* gammas = gamma, betas = beta, centers = center, scales = scale, shifts = shift)
        {
            for (int c = 0; c < mean.Length; c += Lanes)
            {
                int n = mean.Length - c;
                Vector512<double> exact = Load(means + c, n), factor = Load(inverses + c, n), offset = default;
                if (gammas is not null)
                    factor *= Load(gammas + c, n);
                if (betas is not null)
                    offset = Load(betas + c, n);
                Vector256<float> near = Narrow(exact);
                Store(near, centers + c, n);
                Store(Narrow(factor), scales + c, n);
                Store(Narrow(offset - (exact - Widen(near)) * factor), shifts + c, n);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> InverseRoot(Vector512<double> value) =>
        Vector512.ConditionalSelect(
            Vector512.GreaterThan(value, Vector512<double>.Zero),
            Vector512<double>.One / Vector512.Sqrt(value),
            Vector512<double>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> Widen(Vector256<float> values) =>
        Vector512.Create(Vector256.WidenLower(values), Vector256.WidenUpper(values));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<float> Narrow(Vector512<double> values) => Vector256.Narrow(values.GetLower(), values.GetUpper());

    /// <summary>Eight values, or as many as are left, with zeros behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> Load(double* source, int left) =>
        left >= Lanes ? Vector512.Load(source) : LoadTail(source, left);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> Load(float* source, int left) =>
        Widen(left >= Lanes ? Vector256.Load(source) : LoadTail(source, left));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(Vector512<double> values, double* target, int left)
    {
        if (left >= Lanes)
            values.Store(target);
        else
            StoreTail(values, target, left);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(Vector256<float> values, float* target, int left)
    {
        if (left >= Lanes)
            values.Store(target);
        else
            StoreTail(values, target, left);
    }

    static Vector512<double> LoadTail(double* source, int left)
    {
        double* padded = stackalloc double[Lanes];
        new ReadOnlySpan<double>(source, left).CopyTo(new Span<double>(padded, Lanes));
        return Vector512.Load(padded);
    }

    static Vector256<float> LoadTail(float* source, int left)
    {
        float* padded = stackalloc float[Lanes];
        new ReadOnlySpan<float>(source, left).CopyTo(new Span<float>(padded, Lanes));
        return Vector256.Load(padded);
    }

    static void StoreTail(Vector512<double> values, double* target, int left)
    {
        double* padded = stackalloc double[Lanes];
        values.Store(padded);
        new ReadOnlySpan<double>(padded, left).CopyTo(new Span<double>(target, left));
    }

    static void StoreTail(Vector256<float> values, float* target, int left)
    {
        float* padded = stackalloc float[Lanes];
        values.Store(padded);
        new ReadOnlySpan<float>(padded, left).CopyTo(new Span<float>(target, left));
    }
}
