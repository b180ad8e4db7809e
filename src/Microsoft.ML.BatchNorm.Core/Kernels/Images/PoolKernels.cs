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
            for (int place = 0; place < windows.LinePlaces; place += Vectors.Floats)
            {
                Vector512<float> best = Vector512.Create(float.NegativeInfinity);
                Vector512<int> columns = strides + Vector512.Create(place * stride - windows.Padding.Width);
                Vector512<int> index = Vector512.Max(columns, default) + Vector512.Create(Math.Max(firstIndex, 0));
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                    {
                        Vector512<int> indexHere = columns + Vector512.Create(firstIndex + i * windows.Width + j);
                        Vector512<float> value = StridedLine.Load(
                            seen + i * windows.PaddedWidth + j + (nint)place * stride, stride);
                        Vector512<float> wins = Vector512.GreaterThan(value, best) | ~Vector512.Equals(value, value);
                        best = Vector512.ConditionalSelect(wins, value, best);
                        index = Vector512.ConditionalSelect(wins.AsInt32(), indexHere, index);
                    }
                }
                int left = Math.Min(Vectors.Floats, windows.LinePlaces - place);
                Vectors.StorePart(best, values + place, left);
                Vectors.StorePart(index.AsSingle(), (float*)(indices + place), left);
            }
            values += windows.LinePlaces;
            indices += windows.LinePlaces;
        }
    }

    /// <summary>The mean of each window; the zeros of the padding count.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Average(ImageWindows windows, float* padded, float* values)
    {
        int stride = windows.Stride.Width;
        Vector512<float> area = Vector512.Create((float)windows.Size.Height * windows.Size.Width);
        for (int line = 0; line < windows.PlaceLines; line++, values += windows.LinePlaces)
        {
            float* seen = padded + line * windows.Stride.Height * windows.PaddedWidth;
            for (int place = 0; place < windows.LinePlaces; place += Vectors.Floats)
            {
                Vector512<float> sum = default;
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                        sum += StridedLine.Load(seen + i * windows.PaddedWidth + j + (nint)place * stride, stride);
                }
                Vectors.StorePart(sum / area, values + place, Math.Min(Vectors.Floats, windows.LinePlaces - place));
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
}

/// <summary>Pooling of all channels at one place of an image with channels last.</summary>
static unsafe class ChannelSums
{
    /// <summary><c>target = max(target, source)</c>; NaN stays.</summary>
    public static void Max(float* source, float* target, int channels) => Run(new Greater(), source, target, channels);

    /// <summary><c>target += source</c>.</summary>
    public static void Add(float* source, float* target, int channels) => Run(new Sum(), source, target, channels);

    /// <summary><c>target /= divisor</c>.</summary>
    public static void Divide(float* target, float divisor, int channels) =>
        Run(new Quotient(divisor), target, target, channels);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Run<TOperation>(TOperation operation, float* source, float* target, int channels)
        where TOperation : struct, IOperation
    {
        for (int c = 0; c < channels; c += Vectors.Floats)
        {
            int count = Math.Min(Vectors.Floats, channels - c);
            Vector512<float> old = Vectors.LoadPart(target + c, count);
            Vectors.StorePart(operation.Of(Vectors.LoadPart(source + c, count), old), target + c, count);
        }
    }

    interface IOperation
    {
        Vector512<float> Of(Vector512<float> source, Vector512<float> target);
    }

    readonly struct Greater : IOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> source, Vector512<float> target) => Vector512.Max(source, target);
    }

    readonly struct Sum : IOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> source, Vector512<float> target) => source + target;
    }

    readonly struct Quotient(float divisor) : IOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Of(Vector512<float> source, Vector512<float> target) =>
            source / Vector512.Create(divisor);
    }
}
