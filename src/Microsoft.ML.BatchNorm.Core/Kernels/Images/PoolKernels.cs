using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>The maximum or mean of each window of one padded channel.</summary>
static unsafe class PoolKernels
{
    /// <summary>
    /// The greatest value of each window and its index in the channel without padding. Among equal values the first
    /// wins; the last NaN wins over all.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Max(ImageWindows windows, float* padded, float* values, int* indices)
    {
        int stride = windows.Stride.Width;
        Vector512<int> strides = Vector512<int>.Indices * stride;
        for (int line = 0; line < windows.PlaceLines; line++)
        {
            float* seen = padded + line * windows.Stride.Height * windows.PaddedWidth;
            int firstIndex = (line * windows.Stride.Height - windows.Padding.Height) * windows.Width;
            for (int place = 0; place < windows.LinePlaces; place += Simd.Floats)
            {
                int left = Math.Min(Simd.Floats, windows.LinePlaces - place);
                Vector512<float> best = Vector512.Create(float.NegativeInfinity);
                Vector512<int> columns = strides + Vector512.Create(place * stride - windows.Padding.Width);
                Vector512<int> index = Vector512.Max(columns, default) + Vector512.Create(Math.Max(firstIndex, 0));
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                    {
                        Vector512<int> indexHere = columns + Vector512.Create(firstIndex + i * windows.Width + j);
                        Vector512<float> value = StridedLine.Load(
                            seen + i * windows.PaddedWidth + j + (nint)place * stride, stride, left);
                        Vector512<float> wins = Vector512.GreaterThan(value, best) | ~Vector512.Equals(value, value);
                        best = Vector512.ConditionalSelect(wins, value, best);
                        index = Vector512.ConditionalSelect(wins.AsInt32(), indexHere, index);
                    }
                }
                Simd.StorePart(best, values + place, left);
                Simd.StorePart(index.AsSingle(), (float*)(indices + place), left);
            }
            values += windows.LinePlaces;
            indices += windows.LinePlaces;
        }
    }

    /// <summary>The greatest value of each window; NaN wins over all.</summary>
    public static void Max(ImageWindows windows, float* padded, float* values) =>
        Reduce(windows, padded, values, new Greatest());

    /// <summary>The mean of each window; the zeros of the padding count.</summary>
    public static void Average(ImageWindows windows, float* padded, float* values) =>
        Reduce(windows, padded, values, new Mean((float)windows.Size.Height * windows.Size.Width));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Reduce<TReduction>(ImageWindows windows, float* padded, float* values, TReduction reduction)
        where TReduction : struct, IReduction
    {
        int stride = windows.Stride.Width;
        for (int line = 0; line < windows.PlaceLines; line++, values += windows.LinePlaces)
        {
            float* seen = padded + line * windows.Stride.Height * windows.PaddedWidth;
            for (int place = 0; place < windows.LinePlaces; place += Simd.Floats)
            {
                int left = Math.Min(Simd.Floats, windows.LinePlaces - place);
                Vector512<float> result = TReduction.Start;
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                    {
                        result = reduction.Add(result, StridedLine.Load(
                            seen + i * windows.PaddedWidth + j + (nint)place * stride, stride, left));
                    }
                }
                Simd.StorePart(reduction.End(result), values + place, left);
            }
        }
    }

    /// <summary>Adds to each value of a channel its share of the gradients of the means that it is part of.</summary>
    /// <remarks>The shares are gradients divided by the area; a vector after the last one may be read.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddShares(ImageWindows windows, float* shares, float* padded)
    {
        for (int line = 0; line < windows.PlaceLines; line++, shares += windows.LinePlaces)
        {
            float* seen = padded + line * windows.Stride.Height * windows.PaddedWidth;
            for (int i = 0; i < windows.Size.Height; i++)
            {
                for (int j = 0; j < windows.Size.Width; j++)
                {
                    StridedLine.Add(
                        shares, windows.LinePlaces, seen + i * windows.PaddedWidth + j, windows.Stride.Width);
                }
            }
        }
    }

    interface IReduction
    {
        static abstract Vector512<float> Start { get; }

        Vector512<float> Add(Vector512<float> result, Vector512<float> value);

        Vector512<float> End(Vector512<float> result);
    }

    readonly struct Greatest : IReduction
    {
        public static Vector512<float> Start => Vector512.Create(float.NegativeInfinity);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Add(Vector512<float> result, Vector512<float> value) => Vector512.Max(result, value);

        public Vector512<float> End(Vector512<float> result) => result;
    }

    readonly struct Mean(float area) : IReduction
    {
        public static Vector512<float> Start => default;

        public Vector512<float> Add(Vector512<float> result, Vector512<float> value) => result + value;

        public Vector512<float> End(Vector512<float> result) => result / Vector512.Create(area);
    }
}
