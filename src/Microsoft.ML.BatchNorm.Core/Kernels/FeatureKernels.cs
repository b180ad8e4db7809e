using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>Rows in which each value is a channel.</summary>
sealed unsafe class FeatureKernels<TActivation>(TActivation activation, int columns) : ChannelKernels
    where TActivation : struct, IFusedActivation
{
    public override void AddMoments(float* x, nint stride, int rows, Moments result) =>
        ColumnKernels.AddMoments(x, stride, rows, columns, result);

    public override void Normalize(
        float* x, nint xStride, float* y, nint yStride, int rows, float* center, float* scale, float* shift) =>
        ColumnMaps.Normalize(activation, x, xStride, y, yStride, rows, columns, center, scale, shift);

    public override void SumGradients(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* center,
        double* gradients, double* products) =>
        ColumnKernels.SumGradients(
            activation, x, xStride, y, yStride, dy, dyStride, rows, columns, center, gradients, products);

    public override void FormGradient(
        float* x, nint xStride, float* dy, nint dyStride, int rows, float* center, float* scale, float* slope,
        float* shift) =>
        ColumnMaps.GradientInPlace(x, xStride, dy, dyStride, rows, columns, center, scale, slope, shift);

    public override void ScaleGradient(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* scale) =>
        ColumnMaps.ScaleInPlace(activation, y, yStride, dy, dyStride, rows, columns, scale);
}
