using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// One map a column over a block of rows that lies in a cache. Rows are <c>stride</c> floats apart, columns come in
/// whole vectors.
/// </summary>
static unsafe class ColumnMaps
{
    /// <summary><c>y = activation((x − center)·scale + shift)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Normalize<TActivation>(
        TActivation activation, float* x, nint xStride, float* y, nint yStride, int rows, int columns, float* center,
        float* scale, float* shift)
        where TActivation : struct, IFusedActivation
    {
        int row = 0;
        for (; row <= rows - 4; row += 4, x += 4 * xStride, y += 4 * yStride)
        {
            for (int c = 0; c < columns; c += Vectors.Floats)
            {
                Vector512<float> centers = Vector512.Load(center + c), scales = Vector512.Load(scale + c);
                Vector512<float> shifts = Vector512.Load(shift + c);
                float* from = x + c, to = y + c;
                Map(activation, from, centers, scales, shifts).Store(to);
                Map(activation, from + xStride, centers, scales, shifts).Store(to + yStride);
                Map(activation, from + 2 * xStride, centers, scales, shifts).Store(to + 2 * yStride);
                Map(activation, from + 3 * xStride, centers, scales, shifts).Store(to + 3 * yStride);
            }
        }
        for (; row < rows; row++, x += xStride, y += yStride)
        {
            for (int c = 0; c < columns; c += Vectors.Floats)
            {
                Map(activation, x + c, Vector512.Load(center + c), Vector512.Load(scale + c), Vector512.Load(shift + c))
                    .Store(y + c);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Map<TActivation>(
        TActivation activation, float* x, Vector512<float> center, Vector512<float> scale, Vector512<float> shift)
        where TActivation : struct, IFusedActivation =>
        activation.Forward(Lanes.MultiplyAdd(Vector512.Load(x) - center, scale, shift));

    /// <summary><c>dy = scale·(dy − (x − center)·slope − shift)</c>, in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GradientInPlace(
        float* x, nint xStride, float* dy, nint dyStride, int rows, int columns, float* center, float* scale,
        float* slope, float* shift)
    {
        for (int row = 0; row < rows; row++, x += xStride, dy += dyStride)
        {
            for (int c = 0; c < columns; c += Vectors.Floats)
            {
                Vector512<float> d = Vector512.Load(x + c) - Vector512.Load(center + c);
                Vector512<float> less = Lanes.MultiplyAdd(d, Vector512.Load(slope + c), Vector512.Load(shift + c));
                (Vector512.Load(scale + c) * (Vector512.Load(dy + c) - less)).Store(dy + c);
            }
        }
    }

    /// <summary><c>dy = scale·activation'(dy)</c>, in place: the gradient through a fixed map.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ScaleInPlace<TActivation>(
        TActivation activation, float* y, nint yStride, float* dy, nint dyStride, int rows, int columns, float* scale)
        where TActivation : struct, IFusedActivation
    {
        for (int row = 0; row < rows; row++, y += yStride, dy += dyStride)
        {
            for (int c = 0; c < columns; c += Vectors.Floats)
            {
                Vector512<float> g = Vector512.Load(dy + c);
                if (TActivation.IsUsed)
                    g = activation.Backward(Vector512.Load(y + c), g);
                (g * Vector512.Load(scale + c)).Store(dy + c);
            }
        }
    }
}
