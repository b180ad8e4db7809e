using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Pointers to the count, mean and sum of squared deviations (M2) of each channel. The rests are what is known of each
/// mean and M2 beyond its double.
/// </summary>
readonly unsafe struct Moments(double* count, double* mean, double* m2, double* meanRest, double* m2Rest)
{
    /// <summary>The number of arrays.</summary>
    public const int Arrays = 5;

    public readonly double* Count = count, Mean = mean, M2 = m2, MeanRest = meanRest, M2Rest = m2Rest;

    /// <summary>
    /// <see cref="Arrays"/> arrays of <paramref name="length"/> values, one after the other.
    /// </summary>
    public static Moments In(double* memory, int length) => new(
        memory, memory + length, memory + 2 * (nint)length, memory + 3 * (nint)length, memory + 4 * (nint)length);

    public Moments At(int index) => new(Count + index, Mean + index, M2 + index, MeanRest + index, M2Rest + index);

    public void Clear() => *Count = *Mean = *M2 = *MeanRest = *M2Rest = 0;
}

/// <summary>
/// The union of two samples from their counts, means and sums of squared deviations:
/// <c>δ = m₂ − m₁, n = n₁ + n₂, m = m₁ + δ·n₂/n, M = M₁ + M₂ + δ²·n₁·n₂/n</c> (Chan, Golub, LeVeque, 1983), with
/// the rounding errors of m and M carried along (Knuth's two-sum), so that a million merges of one row are as exact as
/// one merge of a million rows.
/// </summary>
static unsafe class MomentsMerge
{
    public static void Into(Moments target, Moments other, int length)
    {
        int i = 0;
        for (; i <= length - 8; i += 8)
            EightInto(target.At(i), other.At(i));
        for (; i < length; i++)
            OneInto(target.At(i), other.At(i));
    }

    static void EightInto(Moments target, Moments other)
    {
        Vector512<double> oldCount = Vector512.Load(target.Count), count = Vector512.Load(other.Count);
        Vector512<double> total = oldCount + count;
        Vector512<double> share = count / Vector512.Max(total, Vector512<double>.One);
        Vector512<double> otherMean = Vector512.Load(other.Mean), otherMeanRest = Vector512.Load(other.MeanRest);
        Vector512<double> otherM2 = Vector512.Load(other.M2), otherM2Rest = Vector512.Load(other.M2Rest);
        Vector512<double> mean = Vector512.Load(target.Mean), meanRest = Vector512.Load(target.MeanRest);
        Vector512<double> m2 = Vector512.Load(target.M2), m2Rest = Vector512.Load(target.M2Rest);
        Vector512<double> delta = otherMean - mean + (otherMeanRest - meanRest);
        Add(ref mean, ref meanRest, delta * share);
        Add(ref m2, ref m2Rest, otherM2 + (delta * delta * (oldCount * share) + otherM2Rest));

        Vector512<double> first = Vector512.Equals(oldCount, Vector512<double>.Zero);
        Vector512<double> none = Vector512.Equals(count, Vector512<double>.Zero);
        total.Store(target.Count);
        Select(first, none, otherMean, mean, target.Mean);
        Select(first, none, otherMeanRest, meanRest, target.MeanRest);
        Select(first, none, otherM2, m2, target.M2);
        Select(first, none, otherM2Rest, m2Rest, target.M2Rest);
    }

    /// <summary>If one side is empty, the union is exactly the other side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Select(
        Vector512<double> first, Vector512<double> none, Vector512<double> other, Vector512<double> merged,
        double* target)
    {
        Vector512<double> nonEmpty = Vector512.ConditionalSelect(first, other, merged);
        Vector512.ConditionalSelect(none, Vector512.Load(target), nonEmpty).Store(target);
    }

    static void OneInto(Moments target, Moments other)
    {
        double oldCount = *target.Count, count = *other.Count;
        if (count == 0)
            return;
        if (oldCount == 0)
        {
            *target.Count = count;
            *target.Mean = *other.Mean;
            *target.MeanRest = *other.MeanRest;
            *target.M2 = *other.M2;
            *target.M2Rest = *other.M2Rest;
            return;
        }
        double share = count / (oldCount + count);
        double delta = *other.Mean - *target.Mean + (*other.MeanRest - *target.MeanRest);
        Add(ref *target.Mean, ref *target.MeanRest, delta * share);
        Add(ref *target.M2, ref *target.M2Rest, *other.M2 + (delta * delta * (oldCount * share) + *other.M2Rest));
        *target.Count = oldCount + count;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(ref Vector512<double> sum, ref Vector512<double> rest, Vector512<double> value)
    {
        value += rest;
        Vector512<double> total = sum + value, part = total - sum;
        rest = sum - (total - part) + (value - part);
        sum = total;
    }

    /// <summary>Adds to a sum; the rest receives what its double cannot hold.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(ref double sum, ref double rest, double value)
    {
        value += rest;
        double total = sum + value, part = total - sum;
        rest = sum - (total - part) + (value - part);
        sum = total;
    }
}

/// <summary>
/// Moments of single columns: of rows that fill no vector, of columns that hold values that are not finite, and of
/// columns whose sums overflowed.
/// </summary>
static unsafe class ScalarMoments
{
    /// <summary>
    /// Merges a column into one channel; false if it holds a value that is not finite and not ignored, or overflows.
    /// </summary>
    public static bool Merge<T>(T* column, int rows, nint stride, Moments result, bool ignoreNonFinite)
        where T : unmanaged
    {
        // Around the first value: the mean of equal values is exact, and no sum overflows unless M2 does.
        double count = 0, first = 0, sum = 0;
        for (int row = 0; row < rows; row++)
        {
            double value = Simd.ToDouble(column[row * stride]);
            if (double.IsFinite(value))
            {
                if (count++ == 0)
                    first = value;
                sum += value - first;
            }
            else if (!ignoreNonFinite)
            {
                return false;
            }
        }
        if (count == 0)
            return true;

        double center = first + sum / count, rest = 0, square = 0;
        for (int row = 0; row < rows; row++)
        {
            double value = Simd.ToDouble(column[row * stride]);
            if (!double.IsFinite(value))
                continue;
            double deviation = value - center;
            rest += deviation;
            square += deviation * deviation;
        }
        double* memory = stackalloc double[Moments.Arrays];
        Moments one = Moments.In(memory, 1);
        Set(one, count, center, rest, square);
        MomentsMerge.Into(result, one, 1);
        return double.IsFinite(*result.M2);
    }

    /// <summary>Moments from the sums of deviations from a center and of their squares.</summary>
    public static void Set(Moments result, double count, double center, double sum, double square)
    {
        double shift = sum / count;
        *result.Count = count;
        *result.Mean = center;
        *result.MeanRest = 0;
        MomentsMerge.Add(ref *result.Mean, ref *result.MeanRest, shift);
        *result.M2 = Math.Max(square - sum * shift, 0);
        *result.M2Rest = 0;
    }
}
