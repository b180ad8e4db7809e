using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Rows in which each value is a channel, padded to whole vectors.</summary>
sealed unsafe class FeatureKernels<TActivation>(TActivation activation, int width) : ChannelKernels
    where TActivation : struct, IFusedActivation
{
    // Sums are centred on the first row, as ColumnMoments explains. With as few rows as a block has, they lose at most
    // 1e-14 of a variance.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AddMoments(Rows x, int rows, Moments result)
    {
        int columns = width;
        Vector512<double> count = Vector512.Create((double)rows);
        for (int c = 0; c < columns; c += Simd.Floats)
        {
            float* value = x.First + c;
            Vector512<float> center = Vector512.Load(value);
            Vector512<double> center0 = Vector512.WidenLower(center), center1 = Vector512.WidenUpper(center);
            Vector512<double> sum0 = default, sum1 = default, square0 = default, square1 = default;
            value += x.Stride;
            for (int row = 1; row < rows; row++, value += x.Stride)
            {
                Vector512<float> v = Vector512.Load(value);
                Vector512<double> lower = Vector512.WidenLower(v) - center0, upper = Vector512.WidenUpper(v) - center1;
                sum0 += lower;
                sum1 += upper;
                square0 = Simd.MultiplyAdd(lower, lower, square0);
                square1 = Simd.MultiplyAdd(upper, upper, square1);
            }
            StoreMoments(center0, sum0, square0, count, result.At(c));
            StoreMoments(center1, sum1, square1, count, result.At(c + Simd.Doubles));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void StoreMoments(
        Vector512<double> center, Vector512<double> sum, Vector512<double> square, Vector512<double> count,
        Moments result)
    {
        Vector512<double> shift = sum / count, mean = center, rest = default;
        MomentsMerge.Add(ref mean, ref rest, shift);
        count.Store(result.Count);
        mean.Store(result.Mean);
        rest.Store(result.MeanRest);
        (Vector512.Max(square - sum * shift, Vector512<double>.Zero) + (center - center)).Store(result.M2);
        Vector512<double>.Zero.Store(result.M2Rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Normalize(Rows x, Rows y, int rows, float* center, float* scale, float* shift)
    {
        TActivation function = activation;
        int columns = width;
        int row = 0;
        float* x0 = x.First, y0 = y.First;
        nint xStride = x.Stride, yStride = y.Stride;
        for (; row <= rows - 4; row += 4, x0 += 4 * xStride, y0 += 4 * yStride)
        {
            for (int c = 0; c < columns; c += Simd.Floats)
            {
                Vector512<float> centers = Vector512.Load(center + c), scales = Vector512.Load(scale + c);
                Vector512<float> shifts = Vector512.Load(shift + c);
                float* from = x0 + c, to = y0 + c;
                Map(function, from, centers, scales, shifts).Store(to);
                Map(function, from + xStride, centers, scales, shifts).Store(to + yStride);
                Map(function, from + 2 * xStride, centers, scales, shifts).Store(to + 2 * yStride);
                Map(function, from + 3 * xStride, centers, scales, shifts).Store(to + 3 * yStride);
            }
        }
        for (; row < rows; row++, x0 += xStride, y0 += yStride)
        {
            for (int c = 0; c < columns; c += Simd.Floats)
            {
                Map(function, x0 + c, Vector512.Load(center + c), Vector512.Load(scale + c), Vector512.Load(shift + c))
                    .Store(y0 + c);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Map(
        TActivation function, float* x, Vector512<float> center, Vector512<float> scale, Vector512<float> shift) =>
        function.Forward(Simd.MultiplyAdd(Vector512.Load(x) - center, scale, shift));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SumGradients(
        Rows x, Rows y, Rows dy, int rows, float* center, double* gradients, double* products)
    {
        TActivation function = activation;
        int columns = width;
        for (int c = 0; c < columns; c += Simd.Floats)
        {
            Vector512<float> centers = Vector512.Load(center + c);
            Vector512<double> sum0 = default, sum1 = default, product0 = default, product1 = default;
            float* value = x.First + c, output = y.First + c, gradient = dy.First + c;
            for (int row = 0; row < rows; row++, value += x.Stride, output += y.Stride, gradient += dy.Stride)
            {
                Vector512<float> g = Vector512.Load(gradient);
                if (TActivation.IsUsed)
                {
                    g = function.Backward(Vector512.Load(output), g);
                    g.Store(gradient);
                }
                Vector512<float> d = Vector512.Load(value) - centers;
                Vector512<double> g0 = Vector512.WidenLower(g), g1 = Vector512.WidenUpper(g);
                sum0 += g0;
                sum1 += g1;
                product0 = Simd.MultiplyAdd(g0, Vector512.WidenLower(d), product0);
                product1 = Simd.MultiplyAdd(g1, Vector512.WidenUpper(d), product1);
            }
            sum0.Store(gradients + c);
            sum1.Store(gradients + c + Simd.Doubles);
            product0.Store(products + c);
            product1.Store(products + c + Simd.Doubles);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FormGradient(
        Rows x, Rows dy, int rows, float* center, float* scale, float* slope, float* shift)
    {
        int columns = width;
        float* value = x.First, gradient = dy.First;
        for (int row = 0; row < rows; row++, value += x.Stride, gradient += dy.Stride)
        {
            for (int c = 0; c < columns; c += Simd.Floats)
            {
                Vector512<float> d = Vector512.Load(value + c) - Vector512.Load(center + c);
                Vector512<float> less = Simd.MultiplyAdd(d, Vector512.Load(slope + c), Vector512.Load(shift + c));
                (Vector512.Load(scale + c) * (Vector512.Load(gradient + c) - less)).Store(gradient + c);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void ScaleGradient(Rows x, Rows y, Rows dy, int rows, float* scale)
    {
        TActivation function = activation;
        int columns = width;
        float* output = y.First, gradient = dy.First;
        for (int row = 0; row < rows; row++, output += y.Stride, gradient += dy.Stride)
        {
            for (int c = 0; c < columns; c += Simd.Floats)
            {
                Vector512<float> g = Vector512.Load(gradient + c);
                if (TActivation.IsUsed)
                    g = function.Backward(Vector512.Load(output + c), g);
                (g * Vector512.Load(scale + c)).Store(gradient + c);
            }
        }
    }
}
