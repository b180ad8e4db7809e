using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The gradient of the input, as one map per channel: with <c>s = γ·factor·inverse</c> and n values behind the
/// statistics, <c>dx = s·(dy − Σdy/n − (x − μ)·inverse²·Σdy(x − μ)/n)</c>, and <c>dx = s·dy</c> through statistics that
/// are constants.
/// </summary>
/// <remarks>
/// s is multiplied last: <c>s·inverse²</c> leaves float's range where the deviation is 1e-13 or 1e13.
/// </remarks>
readonly ref struct InputGradient
{
    readonly double[] mean, slope, shift, scale;

    public InputGradient(Normalization normalization, ReadOnlySpan<float> gamma, GradientSums sums)
    {
        mean = normalization.Mean.ToArray();
        int channels = mean.Length;
        slope = new double[channels];
        shift = new double[channels];
        scale = new double[channels];
        for (int c = 0; c < channels; c++)
        {
            double inverse = normalization.InverseDeviation[c],
                count = normalization.Count.IsEmpty ? 0 : normalization.Count[c];
            scale[c] = (gamma.IsEmpty ? 1 : gamma[c]) * normalization.Factor(c) * inverse;
            if (count == 0)
                continue;
            slope[c] = inverse * (inverse * (sums.Product[c] / count));
            shift[c] = sums.Gradient[c] / count;
        }
    }

    public unsafe void Apply<T>(
        ChannelLayout layout, ReadOnlySpan<T> x, ReadOnlySpan<T> dy, Span<T> dx, int threads) where T : unmanaged
    {
        double[] rest = shift;
        if (typeof(T) == typeof(float))
        {
            rest = new double[shift.Length];
            for (int c = 0; c < rest.Length; c++)
                rest[c] = shift[c] - (mean[c] - (float)mean[c]) * slope[c];
        }
        int inner = BatchMoments.IsColumns(layout) ? layout.Inner : 1;
        var parameters = new ChannelParameters<T>(inner, mean, slope, rest, scale);
        var plan = new ElementPlan(layout, parameters.Period);
        fixed (T* values = x, gradients = dy, target = dx, numbers = parameters.Values)
        {
            ShardJob.Run(
                new GradientKernel<T>(plan, values, gradients, target, numbers, parameters.Stride),
                plan.Items, threads);
        }
    }

    /// <summary>
    /// The gradient at one position: of a value that counts in the statistics, or that only passed through them.
    /// </summary>
    public double At(int channel, double x, double dy, bool counts) =>
        scale[channel] * (counts ? dy - (slope[channel] * (x - mean[channel]) + shift[channel]) : dy);
}
