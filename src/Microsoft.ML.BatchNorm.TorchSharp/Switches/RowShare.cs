namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>
/// How many values a channel each row of a batch gives a layer, from the moments of a batch and of its two parts. With
/// k values a row, a and b rows, means m and sample variances u, the sums of squares add up to
/// <c>(k(a + b) − 1)u = (ka − 1)u₁ + (kb − 1)u₂ + k(m₁ − m₂)²ab/(a + b)</c>: one equation for k in each channel.
/// </summary>
static class RowShare
{
    /// <summary>Parts of the whole that rounding in float may cost.</summary>
    const double Rounding = 1e-4;

    /// <returns>
    /// The number of values; null where there is none: each row is not on its own, or all values are the same.
    /// </returns>
    public static long? Of(BatchMoments whole, long rows, BatchMoments first, BatchMoments second, long firstRows)
    {
        double a = firstRows, b = rows - firstRows, squares = 0, products = 0;
        for (int c = 0; c < whole.Mean.Length; c++)
        {
            double u = whole.Variance[c], deviation = Math.Sqrt(u);
            double mean = (a * first.Mean[c] + b * second.Mean[c]) / rows;
            if (Math.Abs(mean - whole.Mean[c]) > Rounding * (deviation + 0.01 * Math.Abs(whole.Mean[c])))
                return null;
            if (u == 0)
                continue;
            (double one, double all) = Equation(whole, first, second, a, b, c);
            squares += one / u * (one / u);
            products += one / u * (all / u);
        }
        if (squares == 0)
            return null;
        // Noise decides where k is large, and k hardly matters there: variances are divided by kn − 1 for n rows.
        double inverse = Math.Clamp(products / squares, 1e-9, 1);
        long k = (long)Math.Round(1 / inverse);
        return AllHold(whole, first, second, a, b, k) ? k : null;
    }

    /// <summary>The two numbers of a channel's <c>one = k·all</c>.</summary>
    static (double One, double All) Equation(
        BatchMoments whole, BatchMoments first, BatchMoments second, double a, double b, int c)
    {
        double u = whole.Variance[c], u1 = first.Variance[c], u2 = second.Variance[c];
        double distance = first.Mean[c] - second.Mean[c];
        return (u - u1 - u2, (a + b) * u - a * u1 - b * u2 - distance * distance * a * b / (a + b));
    }

    static bool AllHold(BatchMoments whole, BatchMoments first, BatchMoments second, double a, double b, long k)
    {
        for (int c = 0; c < whole.Mean.Length; c++)
        {
            (double one, double all) = Equation(whole, first, second, a, b, c);
            double deviation = Math.Sqrt(whole.Variance[c]);
            double open = (a + b) * deviation * (Rounding * deviation + 1e-6 * Math.Abs(whole.Mean[c]));
            if (Math.Abs(one / k - all) > open)
                return false;
        }
        return true;
    }
}
