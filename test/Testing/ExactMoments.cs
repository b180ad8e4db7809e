using System.Numerics;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>Mean and M2 of columns, from sums of whole numbers: right to the last digit of a double.</summary>
sealed record ExactMoments(double[] Mean, double[] M2)
{
    /// <param name="x">Rows of values near <paramref name="offset"/>.</param>
    /// <param name="columns">The columns of a row.</param>
    /// <param name="offset">A whole number.</param>
    /// <param name="bits">The values are multiples of 2 to the power of minus this.</param>
    public static ExactMoments Of(ReadOnlySpan<double> x, int columns, long offset, int bits)
    {
        double unit = Math.ScaleB(1, bits);
        int rows = x.Length / columns;
        double[] means = new double[columns], squares = new double[columns];
        for (int c = 0; c < columns; c++)
        {
            BigInteger sum = 0, square = 0;
            for (int i = c; i < x.Length; i += columns)
            {
                long value = (long)((x[i] - offset) * unit);
                Assert.AreEqual(x[i], offset + value / unit);
                sum += value;
                square += (BigInteger)value * value;
            }
            means[c] = offset + (double)sum / rows / unit;
            squares[c] = (double)(rows * square - sum * sum) / rows / unit / unit;
        }
        return new ExactMoments(means, squares);
    }

    public void AssertClose(double tolerance, BatchStatistics statistics, string what = "")
    {
        for (int c = 0; c < Mean.Length; c++)
        {
            Assert.AreEqual(1, statistics.Mean[c] / Mean[c], tolerance, $"{what}, mean of column {c}");
            Assert.AreEqual(1, statistics.M2[c] / M2[c], tolerance, $"{what}, M2 of column {c}");
        }
    }
}
