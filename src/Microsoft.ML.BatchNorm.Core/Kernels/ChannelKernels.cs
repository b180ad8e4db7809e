using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The passes of a batch normalization over rows of one layout: <see cref="FeatureKernels{T}"/> or
/// <see cref="ImageKernels{T}"/>. Rows are given by the first and the distance to the next. Numbers of the channels are
/// filled up to whole vectors.
/// </summary>
abstract unsafe class ChannelKernels
{
    /// <summary>Count, mean and squared deviations of some rows, at least one.</summary>
    public abstract void AddMoments(float* x, nint stride, int rows, Moments result);

    /// <summary><c>y = activation((x − center)·scale + shift)</c>.</summary>
    public abstract void Normalize(
        float* x, nint xStride, float* y, nint yStride, int rows, float* center, float* scale, float* shift);

    /// <summary>
    /// Takes dy back through the activation, in place, and sums <c>dy</c> and <c>dy·(x − center)</c>.
    /// </summary>
    public abstract void SumGradients(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* center,
        double* gradients, double* products);

    /// <summary>
    /// <c>dx = scale·(dy − (x − center)·slope − shift)</c>, in place, behind <see cref="SumGradients"/>.
    /// </summary>
    public abstract void FormGradient(
        float* x, nint xStride, float* dy, nint dyStride, int rows, float* center, float* scale, float* slope,
        float* shift);

    /// <summary>Takes dy back through the activation and a fixed map, in place.</summary>
    public abstract void ScaleGradient(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* scale);
}
