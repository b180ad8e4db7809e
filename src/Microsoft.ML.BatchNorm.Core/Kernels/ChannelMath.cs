using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Arithmetic on arrays of one number per channel, eight channels at a time.
/// </summary>
static unsafe class ChannelMath
{
    /// <summary>1/√(M2/count + ε) of each channel; 0 where the variance and ε are 0.</summary>
    public static void InverseDeviation(
        ReadOnlySpan<double> m2, ReadOnlySpan<double> count, double epsilon, Span<double> inverse)
    {
        fixed (double* squares = m2, counts = count, result = inverse)
        {
            for (int c = 0; c < inverse.Length; c += Simd.Doubles)
            {
                int n = inverse.Length - c;
                Vector512<double> variance =
                    Simd.LoadEight(squares + c, n)
                    / Vector512.Max(Simd.LoadEight(counts + c, n), Vector512<double>.One);
                Simd.StoreEight(InverseRoot(variance + Vector512.Create(epsilon)), result + c, n);
            }
        }
    }

    /// <summary>1/√(variance + ε) of each channel; 0 where both are 0.</summary>
    public static void InverseDeviation(ReadOnlySpan<double> variance, double epsilon, Span<double> inverse)
    {
        fixed (double* variances = variance, result = inverse)
        {
            for (int c = 0; c < inverse.Length; c += Simd.Doubles)
            {
                int n = inverse.Length - c;
                Vector512<double> sum = Simd.LoadEight(variances + c, n) + Vector512.Create(epsilon);
                Simd.StoreEight(InverseRoot(sum), result + c, n);
            }
        }
    }

    /// <summary>
    /// Moves averages in place towards those of a batch. Averages of a channel without a value stay. Returns false if a
    /// variance is not finite, because a channel has too few values or because it overflowed.
    /// </summary>
    /// <param name="batch">The moments of the batch.</param>
    /// <param name="less">Variances are M2/(n − less).</param>
    /// <param name="decay">The share of the old averages that stays.</param>
    /// <param name="mean">The average of the mean of each channel.</param>
    /// <param name="variance">The average of the variance of each channel.</param>
    public static bool Move(Moments batch, int less, double decay, Span<double> mean, Span<double> variance)
    {
        Vector512<double> stays = Vector512.Create(decay), comes = Vector512.Create(1 - decay);
        Vector512<double> freedom = Vector512.Create((double)less);
        bool finite = true;
        fixed (double* means = mean, variances = variance)
        {
            for (int c = 0; c < mean.Length; c += Simd.Doubles)
            {
                int n = mean.Length - c;
                Vector512<double> count = Simd.LoadEight(batch.Count + c, n);
                Vector512<double> oldMean = Simd.LoadEight(means + c, n);
                Vector512<double> oldVariance = Simd.LoadEight(variances + c, n);
                Vector512<double> none = Vector512.Equals(count, Vector512<double>.Zero);
                Vector512<double> spread = Simd.LoadEight(batch.M2 + c, n) / (count - freedom);
                finite &= Vector512.EqualsAll(
                    Vector512.ConditionalSelect(none, Vector512<double>.Zero, spread - spread),
                    Vector512<double>.Zero);
                Vector512<double> moved = stays * oldMean + comes * Simd.LoadEight(batch.Mean + c, n);
                Simd.StoreEight(Vector512.ConditionalSelect(none, oldMean, moved), means + c, n);
                moved = stays * oldVariance + comes * spread;
                Simd.StoreEight(Vector512.ConditionalSelect(none, oldVariance, moved), variances + c, n);
            }
        }
        return finite;
    }

    /// <summary>
    /// Writes <c>γ ((x − mean)·inverse·factor + offset) + β</c> as <c>(x − center)·scale + shift</c> with floats: the
    /// center is the float nearest to the mean, and the shift makes up for the difference. γ and β may be empty, and so
    /// may factors and offsets together.
    /// </summary>
    public static void Affine(
        ReadOnlySpan<double> mean, ReadOnlySpan<double> inverse, ReadOnlySpan<float> gamma, ReadOnlySpan<float> beta,
        ReadOnlySpan<double> factor, ReadOnlySpan<double> offset, Span<float> center, Span<float> scale,
        Span<float> shift)
    {
        fixed (double* means = mean, inverses = inverse, factors = factor, offsets = offset)
        fixed (float* gammas = gamma, betas = beta, centers = center, scales = scale, shifts = shift)
        {
            for (int c = 0; c < mean.Length; c += Simd.Doubles)
            {
                int n = mean.Length - c;
                Vector512<double> exact = Simd.LoadEight(means + c, n), g = Vector512<double>.One, b = default;
                if (gammas is not null)
                    g = Simd.LoadEight(gammas + c, n);
                if (betas is not null)
                    b = Simd.LoadEight(betas + c, n);
                if (factors is not null)
                {
                    b += g * Simd.LoadEight(offsets + c, n);
                    g *= Simd.LoadEight(factors + c, n);
                }
                Vector512<double> slope = g * Simd.LoadEight(inverses + c, n);
                Vector256<float> near = Simd.Narrow(exact);
                Simd.StoreEight(near, centers + c, n);
                Simd.StoreEight(Simd.Narrow(slope), scales + c, n);
                Simd.StoreEight(Simd.Narrow(b - (exact - Simd.Widen(near)) * slope), shifts + c, n);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<double> InverseRoot(Vector512<double> value) =>
        Vector512.ConditionalSelect(
            Vector512.GreaterThan(value, Vector512<double>.Zero),
            Vector512<double>.One / Vector512.Sqrt(value),
            Vector512<double>.Zero);
}
