namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Moments of single columns: of the few rows that fill no vector, around values that are not finite, and where the
/// sums of whole vectors overflow.
/// </summary>
static unsafe class ScalarMoments
{
    /// <summary>
    /// Merges a column into one channel; false where it holds something not finite that counts, or overflows.
    /// </summary>
    public static bool Merge<T>(T* column, int rows, nint stride, Moments result, bool ignoreNonFinite)
        where T : unmanaged
    {
        // Around the first value: equal values have a mean to the last bit, and no sum overflows where M2 does not.
        double count = 0, first = 0, sum = 0;
        for (int row = 0; row < rows; row++)
        {
            double value = Wide.ToDouble(column[row * stride]);
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
            double value = Wide.ToDouble(column[row * stride]);
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

    /// <summary>The moments of values whose deviations from a center, and their squares, have these sums.</summary>
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
