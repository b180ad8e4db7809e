using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A window of weights over one padded channel. Each sum is one chain in the order of the window's elements, so that its
/// bits do not depend on the width of vectors.
/// </summary>
static unsafe class DepthwiseKernels
{
    /// <summary><c>y = Σ weight · x</c> at each place, or <c>y += …</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Sum(ImageWindows windows, float* padded, float* weights, float* y, bool accumulate)
    {
        int stride = windows.Stride.Width, linePlaces = windows.LinePlaces;
        for (int line = 0; line < windows.PlaceLines; line++, y += linePlaces)
        {
            float* seen = padded + windows.OffsetOf(line);
            for (int place = 0; place < linePlaces; place += Simd.Floats)
            {
                int count = Math.Min(Simd.Floats, linePlaces - place);
                Vector512<float> sum = accumulate ? Simd.LoadPart(y + place, count) : default;
                float* weight = weights;
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                    {
                        Vector512<float> x = StridedLine.Load(
                            seen + windows.OffsetOf(i, j) + (nint)place * stride, stride, count);
                        sum = Vector512.FusedMultiplyAdd(x, Vector512.Create(*weight++), sum);
                    }
                }
                Simd.StorePart(sum, y + place, count);
            }
        }
    }

    /// <summary>Adds <c>weight · dy</c> to each element that the window saw.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Spread(ImageWindows windows, float* dy, float* weights, float* padded)
    {
        int stride = windows.Stride.Width, linePlaces = windows.LinePlaces;
        float* products = stackalloc float[Simd.Floats];
        for (int line = 0; line < windows.PlaceLines; line++, dy += linePlaces)
        {
            float* seen = padded + windows.OffsetOf(line);
            for (int place = 0; place < linePlaces; place += Simd.Floats)
            {
                int count = Math.Min(Simd.Floats, linePlaces - place);
                Vector512<float> gradient = Simd.LoadPart(dy + place, count);
                float* weight = weights;
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                    {
                        (gradient * Vector512.Create(*weight++)).Store(products);
                        StridedLine.Add(products, count, seen + windows.OffsetOf(i, j) + (nint)place * stride, stride);
                    }
                }
            }
        }
    }

    /// <summary>Adds <c>Σ dy · x</c> over all places to the gradient of each weight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddProducts(ImageWindows windows, float* padded, float* dy, float* gradient, nint distance)
    {
        int stride = windows.Stride.Width, linePlaces = windows.LinePlaces;
        for (int i = 0; i < windows.Size.Height; i++)
        {
            for (int j = 0; j < windows.Size.Width; j++, gradient += distance)
            {
                Vector512<float> sum = default;
                for (int line = 0; line < windows.PlaceLines; line++)
                {
                    float* seen = padded + windows.OffsetOf(line) + windows.OffsetOf(i, j);
                    for (int place = 0; place < linePlaces; place += Simd.Floats)
                    {
                        int count = Math.Min(Simd.Floats, linePlaces - place);
                        // dy is 0 behind the line's end, but 0·∞ is NaN, so x is cleared there too.
                        Vector512<float> x = StridedLine.Load(seen + (nint)place * stride, stride, count);
                        if (count < Simd.Floats)
                        {
                            x = Vector512.ConditionalSelect(
                                Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle(), x,
                                default);
                        }
                        sum = Vector512.FusedMultiplyAdd(
                            x, Simd.LoadPart(dy + (nint)line * linePlaces + place, count), sum);
                    }
                }
                *gradient += (float)Simd.Sum(Vector512.WidenLower(sum) + Vector512.WidenUpper(sum));
            }
        }
    }
}
