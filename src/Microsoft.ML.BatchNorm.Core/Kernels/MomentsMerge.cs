using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// The union of two samples from their counts, means and sums of squared deviations:
/// <c>δ = m₂ − m₁, n = n₁ + n₂, m = m₁ + δ·n₂/n, M = M₁ + M₂ + δ²·n₁·n₂/n</c> (Chan, Golub, LeVeque, 1983).
/// </summary>
static unsafe class MomentsMerge
{
    public static void Into(Moments target, Moments other, int length)
    {
        int i = 0;
        for (; i <= length - 8; i += 8)
            Into(target.At(i), Vector512.Load(other.Count + i), Vector512.Load(other.Mean + i), Vector512.Load(other.M2 + i));
        for (; i < length; i++)
            Into(target.At(i), other.Count[i], other.Mean[i], other.M2[i]);
    }

    public static void Into(Moments target, Vector512<double> count, Vector512<double> mean, Vector512<double> m2)
    {
        Vector512<double> oldCount = Vector512.Load(target.Count), oldMean = Vector512.Load(target.Mean);
        Vector512<double> total = oldCount + count;
        Vector512<double> share = count / Vector512.Max(total, Vector512<double>.One);
        Vector512<double> delta = mean - oldMean;
        Vector512<double> between = Vector512.ConditionalSelect(
            Vector512.GreaterThan(Vector512.Min(oldCount, count), Vector512<double>.Zero),
            delta * delta * (oldCount * share),
            Vector512<double>.Zero);
        (oldMean + delta * share).Store(target.Mean);
        (Vector512.Load(target.M2) + m2 + between).Store(target.M2);
        total.Store(target.Count);
    }

    public static void Into(Moments target, double count, double mean, double m2)
    {
        double oldCount = *target.Count, oldMean = *target.Mean;
        double total = oldCount + count;
        double share = count / Math.Max(total, 1);
        double delta = mean - oldMean;
        double between = Math.Min(oldCount, count) > 0 ? delta * delta * (oldCount * share) : 0;
        *target.Mean = oldMean + delta * share;
        *target.M2 = *target.M2 + m2 + between;
        *target.Count = total;
    }
}
