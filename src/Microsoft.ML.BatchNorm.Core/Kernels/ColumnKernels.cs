using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Sums down the columns of a block of rows that lies in a cache, in double. Rows are <c>stride</c> floats apart,
/// columns come in whole vectors.
/// </summary>
static unsafe class ColumnKernels
{
    /// <summary><c>Σ x</c>, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Sum(float* x, nint stride, int rows, int columns, float* sums)
    {
        for (int c = 0; c < columns; c += Vectors.Floats)
        {
            Vector512<double> lower = default, upper = default;
            float* value = x + c;
            for (int row = 0; row < rows; row++, value += stride)
            {
                Vector512<float> v = Vector512.Load(value);
                lower += Vector512.WidenLower(v);
                upper += Vector512.WidenUpper(v);
            }
            Vector512.Narrow(lower, upper).Store(sums + c);
        }
    }

    /// <summary>
    /// Count, mean and squared deviations, around the block's first row; not finite where a value is not. Memory as
    /// <see cref="ColumnMoments{T}"/> explains; rows that are as few as a block's lose 1e-14 of a variance at most.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddMoments(float* x, nint stride, int rows, int columns, Moments result)
    {
        Vector512<double> count = Vector512.Create((double)rows);
        for (int c = 0; c < columns; c += Vectors.Floats)
        {
            float* value = x + c;
            Vector512<float> center = Vector512.Load(value);
            Vector512<double> center0 = Vector512.WidenLower(center), center1 = Vector512.WidenUpper(center);
            Vector512<double> sum0 = default, sum1 = default, square0 = default, square1 = default;
            value += stride;
            for (int row = 1; row < rows; row++, value += stride)
            {
                Vector512<float> v = Vector512.Load(value);
                Vector512<double> lower = Vector512.WidenLower(v) - center0, upper = Vector512.WidenUpper(v) - center1;
                sum0 += lower;
                sum1 += upper;
                square0 = Wide.MultiplyAdd(lower, lower, square0);
                square1 = Wide.MultiplyAdd(upper, upper, square1);
            }
            StoreMoments(center0, sum0, square0, count, result.At(c));
            StoreMoments(center1, sum1, square1, count, result.At(c + 8));
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

    /// <summary>
    /// <c>Σ dy</c> and <c>Σ dy·(x − center)</c>, after the gradient went back through the activation behind the
    /// normalization, in place.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SumGradients<TActivation>(
        TActivation activation, float* x, nint xStride, float* y, nint yStride, float* dy, nint dyStride, int rows,
        int columns, float* centers, double* gradients, double* products)
        where TActivation : struct, IFusedActivation
    {
        for (int c = 0; c < columns; c += Vectors.Floats)
        {
            Vector512<float> center = Vector512.Load(centers + c);
            Vector512<double> sum0 = default, sum1 = default, product0 = default, product1 = default;
            float* value = x + c, output = y + c, gradient = dy + c;
            for (int row = 0; row < rows; row++, value += xStride, output += yStride, gradient += dyStride)
            {
                Vector512<float> g = Vector512.Load(gradient);
                if (TActivation.IsUsed)
                {
                    g = activation.Backward(Vector512.Load(output), g);
                    g.Store(gradient);
                }
                Vector512<float> d = Vector512.Load(value) - center;
                Vector512<double> g0 = Vector512.WidenLower(g), g1 = Vector512.WidenUpper(g);
                sum0 += g0;
                sum1 += g1;
                product0 = Wide.MultiplyAdd(g0, Vector512.WidenLower(d), product0);
                product1 = Wide.MultiplyAdd(g1, Vector512.WidenUpper(d), product1);
            }
            sum0.Store(gradients + c);
            sum1.Store(gradients + c + 8);
            product0.Store(products + c);
            product1.Store(products + c + 8);
        }
    }
}
