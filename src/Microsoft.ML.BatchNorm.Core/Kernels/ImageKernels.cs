using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Rows of <c>outer × channels × inner</c> values: runs of inner values of one channel, at any address. Where the end
/// of a run does not fill a vector, only a part is loaded and stored.
/// </summary>
sealed unsafe class ImageKernels<TActivation>(TActivation activation, ChannelLayout row) : ChannelKernels
    where TActivation : struct, IFusedActivation
{
    readonly int outer = row.Outer, channels = row.Channels, inner = row.Inner;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AddMoments(Rows x, int rows, Moments result)
    {
        double count = (double)rows * outer * inner;
        for (int channel = 0; channel < channels; channel++)
        {
            Vector512<float> center = Vector512.Create(x.First[channel * inner]);
            Vector512<double> middle = Vector512.Create((double)center[0]), sum = default, square = default;
            for (int r = 0; r < rows; r++)
            {
                for (int o = 0; o < outer; o++)
                {
                    float* run = x[r] + ((nint)o * channels + channel) * inner;
                    for (int i = 0; i < inner; i += Simd.Floats)
                    {
                        Vector512<float> v = Simd.Load(run + i, inner - i, center);
                        Vector512<double> lower = Vector512.WidenLower(v) - middle;
                        Vector512<double> upper = Vector512.WidenUpper(v) - middle;
                        sum += lower + upper;
                        square = Simd.MultiplyAdd(lower, lower, Simd.MultiplyAdd(upper, upper, square));
                    }
                }
            }
            ScalarMoments.Set(result.At(channel), count, center[0], Simd.Sum(sum), Simd.Sum(square));
            result.M2[channel] += center[0] - center[0];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Normalize(Rows x, Rows y, int rows, float* center, float* scale, float* shift)
    {
        for (int r = 0; r < rows; r++)
        {
            float* from = x[r], to = y[r];
            for (int run = 0; run < outer * channels; run++, from += inner, to += inner)
            {
                int channel = run % channels;
                Vector512<float> centers = Vector512.Create(center[channel]), scales = Vector512.Create(scale[channel]);
                Vector512<float> shifts = Vector512.Create(shift[channel]);
                for (int i = 0; i < inner; i += Simd.Floats)
                {
                    Vector512<float> d = Simd.Load(from + i, inner - i, centers) - centers;
                    Simd.Store(activation.Forward(Simd.MultiplyAdd(d, scales, shifts)), to + i, inner - i);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SumGradients(
        Rows x, Rows y, Rows dy, int rows, float* center, double* gradients, double* products)
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
                    float* value = x[r] + at, output = y[r] + at;
                    float* gradient = dy[r] + at;
                    for (int i = 0; i < inner; i += Simd.Floats)
                    {
                        Vector512<float> g = Simd.Load(gradient + i, inner - i, default);
                        if (TActivation.IsUsed)
                        {
                            g = activation.Backward(Simd.Load(output + i, inner - i, default), g);
                            Simd.Store(g, gradient + i, inner - i);
                        }
                        Vector512<float> d = Simd.Load(value + i, inner - i, centers) - centers;
                        Vector512<double> lower = Vector512.WidenLower(g), upper = Vector512.WidenUpper(g);
                        sum += lower + upper;
                        product = Simd.MultiplyAdd(lower, Vector512.WidenLower(d), product);
                        product = Simd.MultiplyAdd(upper, Vector512.WidenUpper(d), product);
                    }
                }
            }
            gradients[channel] = Simd.Sum(sum);
            products[channel] = Simd.Sum(product);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FormGradient(
        Rows x, Rows dy, int rows, float* center, float* scale, float* slope, float* shift)
    {
        for (int r = 0; r < rows; r++)
        {
            float* value = x[r], gradient = dy[r];
            for (int run = 0; run < outer * channels; run++, value += inner, gradient += inner)
            {
                int channel = run % channels;
                Vector512<float> centers = Vector512.Create(center[channel]), scales = Vector512.Create(scale[channel]);
                Vector512<float> slopes = Vector512.Create(slope[channel]), shifts = Vector512.Create(shift[channel]);
                for (int i = 0; i < inner; i += Simd.Floats)
                {
                    Vector512<float> d = Simd.Load(value + i, inner - i, centers) - centers;
                    Vector512<float> g = Simd.Load(gradient + i, inner - i, default);
                    Simd.Store(scales * (g - Simd.MultiplyAdd(d, slopes, shifts)), gradient + i, inner - i);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void ScaleGradient(Rows x, Rows y, Rows dy, int rows, float* scale)
    {
        for (int r = 0; r < rows; r++)
        {
            float* output = y[r], gradient = dy[r];
            for (int run = 0; run < outer * channels; run++, output += inner, gradient += inner)
            {
                Vector512<float> scales = Vector512.Create(scale[run % channels]);
                for (int i = 0; i < inner; i += Simd.Floats)
                {
                    Vector512<float> g = Simd.Load(gradient + i, inner - i, default);
                    if (TActivation.IsUsed)
                        g = activation.Backward(Simd.Load(output + i, inner - i, default), g);
                    Simd.Store(g * scales, gradient + i, inner - i);
                }
            }
        }
    }
}
