namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>Moments of single columns: of the few rows that fill no vector, and around values that are not finite.</summary>
static unsafe class ScalarMoments
{
    /// <summary>Merges the finite values of a column into one channel.</summary>
    public static void MergeFinite<T>(T* column, int rows, nint stride, Moments result) where T : unmanaged
    {
        double count = 0, sum = 0;
        for (int row = 0; row < rows; row++)
        {
            double value = Wide.ToDouble(column[row * stride]);
            if (!double.IsFinite(value))
                continue;
            count++;
            sum += value;
        }
        if (count == 0)
            return;

        double mean = sum / count, rest = 0, square = 0;
        for (int row = 0; row < rows; row++)
        {
            double value = Wide.ToDouble(column[row * stride]);
            if (!double.IsFinite(value))
                continue;
            double deviation = value - mean;
            rest += deviation;
            square += deviation * deviation;
        }
        double correction = rest / count;
        MomentsMerge.Into(result, count, mean + correction, Math.Max(square - rest * correction, 0));
    }

    /// <summary>Merges a column into one channel; false where its sum is not finite and such values count.</summary>
    public static bool Merge<T>(T* column, int rows, nint stride, Moments result, bool ignoreNonFinite)
        where T : unmanaged
    {
        if (!ignoreNonFinite)
        {
            for (int row = 0; row < rows; row++)
            {
                if (!double.IsFinite(Wide.ToDouble(column[row * stride])))
                    return false;
            }
        }
        MergeFinite(column, rows, stride, result);
        return true;
    }
}
