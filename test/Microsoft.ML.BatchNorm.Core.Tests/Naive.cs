namespace Microsoft.ML.BatchNorm.Tests;

/// <summary>
/// Batch normalization written down as its formulas stand, in double, one value after the other: what the kernels are
/// compared with, and what decides where a reference computed in float32 has lost its digits.
/// </summary>
sealed class Naive(BatchNormalizationOptions options, ChannelLayout layout, bool[] mask)
{
    /// <summary>Statistics of the kept, finite values of each channel.</summary>
    public (double[] Count, double[] Mean, double[] Variance, double[] MeanSquare) Statistics(double[] x)
    {
        double[] count = new double[layout.Channels], mean = new double[layout.Channels];
        double[] variance = new double[layout.Channels], square = new double[layout.Channels];
        ForEachKept(
            x,
            (c, value) => (count[c], mean[c], square[c]) = (count[c] + 1, mean[c] + value, square[c] + value * value));
        for (int c = 0; c < mean.Length; c++)
            (mean[c], square[c]) = (mean[c] / Math.Max(count[c], 1), square[c] / Math.Max(count[c], 1));
        ForEachKept(x, (c, value) => variance[c] += (value - mean[c]) * (value - mean[c]));
        for (int c = 0; c < mean.Length; c++)
            variance[c] /= Math.Max(count[c], 1);
        return (count, mean, variance, square);
    }

    public double[] Normalize(double[] x, double[] mean, double[] variance, float[] gamma, float[] beta)
    {
        double[] y = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            int c = Channel(i);
            double normalized = (x[i] - mean[c]) / Math.Sqrt(variance[c] + (options.Epsilon ?? 1e-3));
            y[i] = (gamma.Length > 0 ? gamma[c] : 1) * normalized + (beta.Length > 0 ? beta[c] : 0);
        }
        return y;
    }

    public int Channel(int index) => index / layout.Inner % layout.Channels;

    void ForEachKept(double[] x, Action<int, double> action)
    {
        for (int i = 0; i < x.Length; i++)
        {
            int position = i / (layout.Channels * layout.Inner) * layout.Inner + i % layout.Inner;
            if ((mask.Length == 0 || mask[position]) && double.IsFinite(x[i]))
                action(Channel(i), x[i]);
        }
    }
}
