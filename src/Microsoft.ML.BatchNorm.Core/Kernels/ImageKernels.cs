using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows of <c>outer × channels × inner</c> values: runs of inner values of one channel, at any address. The vector that
/// a run's end does not fill is loaded and stored in part.
/// </summary>
sealed unsafe class ImageKernels<TActivation>(TActivation activation, ChannelLayout row) : ChannelKernels
    where TActivation : struct, IFusedActivation
{
    readonly int outer = row.Outer, channels = row.Channels, inner = row.Inner;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AddMoments(float* x, nint stride, int rows, Moments result)
    {
        double count = (double)rows * outer * inner;
        for (int channel = 0; channel < channels; channel++)
        {
            Vector512<float> center = Vector512.Create(x[channel * inner]);
            Vector512<double> middle = Vector512.Create((double)center[0]), sum = default, square = default;
            for (int r = 0; r < rows; r++)
            {
                for (int o = 0; o < outer; o++)
                {
                    float* run = x + r * stride + ((nint)o * channels + channel) * inner;
                    for (int i = 0; i < inner; i += Vectors.Floats)
                    {
                        Vector512<float> v = Load(run + i, inner - i, center);
                        Vector512<double> lower = Vector512.WidenLower(v) - middle;
                        Vector512<double> upper = Vector512.WidenUpper(v) - middle;
                        sum += lower + upper;
                        square = Wide.MultiplyAdd(lower, lower, Wide.MultiplyAdd(upper, upper, square));
                    }
                }
            }
            ScalarMoments.Set(result.At(channel), count, center[0], Wide.Sum(sum), Wide.Sum(square));
            result.M2[channel] += center[0] - center[0];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Normalize(
        float* x, nint xStride, float* y, nint yStride, int rows, float* center, float* scale, float* shift)
    {
        for (int r = 0; r < rows; r++)
        {
            float* from = x + r * xStride, to = y + r * yStride;
            for (int run = 0; run < outer * channels; run++, from += inner, to += inner)
            {
                int channel = run % channels;
                Vector512<float> centers = Vector512.Create(center[channel]), scales = Vector512.Create(scale[channel]);
                Vector512<float> shifts = Vector512.Create(shift[channel]);
                for (int i = 0; i < inner; i += Vectors.Floats)
                {
                    Vector512<float> d = Load(from + i, inner - i, centers) - centers;
                    Store(activation.Forward(Lanes.MultiplyAdd(d, scales, shifts)), to + i, inner - i);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SumGradients(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* center,
        double* gradients, double* products)
    {
        for (int channel = 0; channel < channels; channel++)
        {
            Vector512<float> centers = Vector512.Create(center[channel]);
            Vector512<double> sum = default, product = default;
            for (int r = 0; r < rows; r++)
            {
                for (int o = 0; o < outer; o++)
                {
                    nint at = ((nint)o * channels + channel) * inner;
                    float* value = x + r * xStride + at, output = y + r * yStride + at;
                    float* gradient = dy + r * dyStride + at;
                    for (int i = 0; i < inner; i += Vectors.Floats)
                    {
                        Vector512<float> g = Load(gradient + i, inner - i, default);
                        if (TActivation.IsUsed)
                        {
                            g = activation.Backward(Load(output + i, inner - i, default), g);
                            Store(g, gradient + i, inner - i);
                        }
                        Vector512<float> d = Load(value + i, inner - i, centers) - centers;
                        Vector512<double> lower = Vector512.WidenLower(g), upper = Vector512.WidenUpper(g);
                        sum += lower + upper;
                        product = Wide.MultiplyAdd(lower, Vector512.WidenLower(d), product);
                        product = Wide.MultiplyAdd(upper, Vector512.WidenUpper(d), product);
                    }
                }
            }
            gradients[channel] = Wide.Sum(sum);
            products[channel] = Wide.Sum(product);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FormGradient(
        float* x, nint xStride, float* dy, nint dyStride, int rows, float* center, float* scale, float* slope,
        float* shift)
    {
        for (int r = 0; r < rows; r++)
        {
            float* value = x + r * xStride, gradient = dy + r * dyStride;
            for (int run = 0; run < outer * channels; run++, value += inner, gradient += inner)
            {
                int channel = run % channels;
                Vector512<float> centers = Vector512.Create(center[channel]), scales = Vector512.Create(scale[channel]);
                Vector512<float> slopes = Vector512.Create(slope[channel]), shifts = Vector512.Create(shift[channel]);
                for (int i = 0; i < inner; i += Vectors.Floats)
                {
                    Vector512<float> d = Load(value + i, inner - i, centers) - centers;
                    Vector512<float> g = Load(gradient + i, inner - i, default);
                    Store(scales * (g - Lanes.MultiplyAdd(d, slopes, shifts)), gradient + i, inner - i);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void ScaleGradient(
        float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows, float* scale)
    {
        for (int r = 0; r < rows; r++)
        {
            float* output = y + r * yStride, gradient = dy + r * dyStride;
            for (int run = 0; run < outer * channels; run++, output += inner, gradient += inner)
            {
                Vector512<float> scales = Vector512.Create(scale[run % channels]);
                for (int i = 0; i < inner; i += Vectors.Floats)
                {
                    Vector512<float> g = Load(gradient + i, inner - i, default);
                    if (TActivation.IsUsed)
                        g = activation.Backward(Load(output + i, inner - i, default), g);
                    Store(g * scales, gradient + i, inner - i);
                }
            }
        }
    }

    /// <summary>A vector, or what is left of a run with <paramref name="fill"/> behind it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Load(float* source, int left, Vector512<float> fill) =>
        left >= Vectors.Floats
            ? Vector512.Load(source)
            : Vector512.ConditionalSelect(
                Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(left)).AsSingle(),
                Partial.Load(source, left), fill);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(Vector512<float> value, float* target, int left)
    {
        if (left >= Vectors.Floats)
            value.Store(target);
        else
            Partial.Store(value, target, left);
    }
}
