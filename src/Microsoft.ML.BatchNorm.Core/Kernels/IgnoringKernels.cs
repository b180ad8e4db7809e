using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <see cref="NonFinite.Ignore"/>: in rows that hold something not finite, it counts in no sum, and it and its gradient
/// pass through the normalization unchanged; such rows go one value after the other.
/// </summary>
sealed unsafe class IgnoringKernels<TActivation>(ChannelKernels kernels, TActivation activation, ChannelLayout row)
    : ChannelKernels
    where TActivation : struct, IFusedActivation
{
    public override void AddMoments(float* x, nint stride, int rows, Moments result)
    {
        if (AreFinite(x, stride, rows))
        {
            kernels.AddMoments(x, stride, rows, result);
            return;
        }
        for (int channel = 0; channel < row.Channels; channel++)
        {
            result.At(channel).Clear();
            for (int run = channel; run < row.Outer * row.Channels; run += row.Channels)
            {
                for (int i = 0; i < row.Inner; i++)
                {
                    ScalarMoments.Merge(
                        x + (nint)run * row.Inner + i, rows, stride, result.At(channel), ignoreNonFinite: true);
                }
            }
        }
    }

    public override void Normalize(
        float* x, nint xStride, float* y, nint yStride, int rows, float* center, float* scale, float* shift)
    {
        kernels.Normalize(x, xStride, y, yStride, rows, center, scale, shift);
        if (AreFinite(x, xStride, rows))
            return;
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float value = x[r * xStride + i];
                if (!float.IsFinite(value))
                    y[r * yStride + i] = activation.Forward(Vector512.Create(value))[0];
            }
        }
    }

    public override void SumGradients(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* center,
        double* gradients, double* products)
    {
        if (AreFinite(x, xStride, rows))
        {
            kernels.SumGradients(x, xStride, y, yStride, dy, dyStride, rows, center, gradients, products);
            return;
        }
        new Span<double>(gradients, row.Channels).Clear();
        new Span<double>(products, row.Channels).Clear();
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float value = x[r * xStride + i], gradient = Activate(y[r * yStride + i], dy[r * dyStride + i]);
                dy[r * dyStride + i] = gradient;
                if (!float.IsFinite(value))
                    continue;
                int channel = row.ChannelOf(i);
                gradients[channel] += gradient;
                products[channel] += gradient * (double)(value - center[channel]);
            }
        }
    }

    public override void FormGradient(
        float* x, nint xStride, float* dy, nint dyStride, int rows, float* center, float* scale, float* slope,
        float* shift)
    {
        if (AreFinite(x, xStride, rows))
        {
            kernels.FormGradient(x, xStride, dy, dyStride, rows, center, scale, slope, shift);
            return;
        }
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float value = x[r * xStride + i];
                if (!float.IsFinite(value))
                    continue;
                int c = row.ChannelOf(i);
                ref float gradient = ref dy[r * dyStride + i];
                gradient = scale[c] * (gradient - ((value - center[c]) * slope[c] + shift[c]));
            }
        }
    }

    public override void ScaleGradient(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* scale)
    {
        if (AreFinite(x, xStride, rows))
        {
            kernels.ScaleGradient(x, xStride, y, yStride, dy, dyStride, rows, scale);
            return;
        }
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < row.Count; i++)
            {
                float gradient = Activate(y[r * yStride + i], dy[r * dyStride + i]);
                bool finite = float.IsFinite(x[r * xStride + i]);
                dy[r * dyStride + i] = finite ? gradient * scale[row.ChannelOf(i)] : gradient;
            }
        }
    }

    float Activate(float y, float dy) =>
        TActivation.IsUsed ? activation.Backward(Vector512.Create(y), Vector512.Create(dy))[0] : dy;

    bool AreFinite(float* x, nint stride, int rows)
    {
        for (int r = 0; r < rows; r++)
        {
            if (!Vectors.AreFinite(x + r * stride, Vectors.RoundUp(row.Count)))
                return false;
        }
        return true;
    }
}
