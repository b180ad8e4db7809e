using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>The maximum or mean of each window of one padded channel.</summary>
static unsafe class PoolKernels
{
    /// <summary>
    /// The greatest value of each window and its index in the channel without padding. Among equal values, such as +0
    /// and −0, the first wins; the last NaN wins over all.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Max(ImageWindows windows, float* padded, float* values, int* indices)
    {
        int stride = windows.Stride.Width;
        Vector512<int> strides = Vector512<int>.Indices * stride;
        for (int line = 0; line < windows.PlaceLines; line++)
        {
            float* seen = padded + windows.OffsetOf(line);
            int firstIndex = (line * windows.Stride.Height - windows.Padding.Top) * windows.Width;
            for (int place = 0; place < windows.LinePlaces; place += Simd.Floats)
            {
                int left = Math.Min(Simd.Floats, windows.LinePlaces - place);
                Vector512<float> best = Vector512.Create(float.NegativeInfinity);
                Vector512<int> columns = strides + Vector512.Create(place * stride - windows.Padding.Left);
                Vector512<int> index = Vector512.Max(columns, default) + Vector512.Create(Math.Max(firstIndex, 0));
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                    {
                        Vector512<int> indexHere = columns + Vector512.Create(firstIndex + i * windows.Width + j);
                        Vector512<float> value = StridedLine.Load(
                            seen + windows.OffsetOf(i, j) + (nint)place * stride, stride, left);
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

    /// <summary>The greatest value of each window. +0 wins over −0, NaN over all.</summary>
    public static void Max(ImageWindows windows, float* padded, float* values) =>
        Reduce(windows, padded, values, new Greatest());

    /// <summary>The sum of each window, divided by what belongs to its place.</summary>
    /// <param name="windows">The windows.</param>
    /// <param name="padded">The channel, with zeros around it.</param>
    /// <param name="divisors">One for each place (<see cref="Divisors"/>).</param>
    /// <param name="values">Receives the means.</param>
    public static void Average(ImageWindows windows, float* padded, float* divisors, float* values) =>
        Reduce(windows, padded, values, new Mean(divisors));

    /// <summary>How many elements count in the mean at each place, with room for a vector behind them.</summary>
    public static AlignedMemory<float> Divisors(ImageWindows windows, bool withPadding)
    {
        var divisors = new AlignedMemory<float>((long)windows.Places + Simd.Floats);
        foreach ((int place, int count) in windows.Counts(withPadding).Index())
            divisors.Span[place] = count;
        return divisors;
    }

    /// <summary>
    /// At each place, the factor from the mean over the whole window to the mean over the elements that count.
    /// </summary>
    public static float[] Corrections(ImageWindows windows, bool withPadding)
    {
        float area = (float)windows.Size.Height * windows.Size.Width;
        return [.. windows.Counts(withPadding).Select(count => area / count)];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Reduce<TReduction>(ImageWindows windows, float* padded, float* values, TReduction reduction)
        where TReduction : struct, IReduction
    {
        int stride = windows.Stride.Width;
        for (int line = 0; line < windows.PlaceLines; line++, values += windows.LinePlaces)
        {
            float* seen = padded + windows.OffsetOf(line);
            for (int place = 0; place < windows.LinePlaces; place += Simd.Floats)
            {
                int left = Math.Min(Simd.Floats, windows.LinePlaces - place);
                Vector512<float> result = TReduction.Start;
                for (int i = 0; i < windows.Size.Height; i++)
                {
                    for (int j = 0; j < windows.Size.Width; j++)
                    {
                        result = reduction.Add(result, StridedLine.Load(
                            seen + windows.OffsetOf(i, j) + (nint)place * stride, stride, left));
                    }
                }
                Simd.StorePart(reduction.End(result, line * windows.LinePlaces + place), values + place, left);
            }
        }
    }

    /// <summary>Adds to each value of a channel its share of the gradients of the means that it is part of.</summary>
    /// <remarks>
    /// The shares are gradients divided by what belongs to their places; a vector after the last one may be read.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddShares(ImageWindows windows, float* shares, float* padded)
    {
        for (int line = 0; line < windows.PlaceLines; line++, shares += windows.LinePlaces)
        {
            float* seen = padded + windows.OffsetOf(line);
            for (int i = 0; i < windows.Size.Height; i++)
            {
                for (int j = 0; j < windows.Size.Width; j++)
                {
                    StridedLine.Add(
                        shares, windows.LinePlaces, seen + windows.OffsetOf(i, j), windows.Stride.Width);
                }
            }
        }
    }

    interface IReduction
    {
        static abstract Vector512<float> Start { get; }

        Vector512<float> Add(Vector512<float> result, Vector512<float> value);

        Vector512<float> End(Vector512<float> result, int place);
    }

    readonly struct Greatest : IReduction
    {
        public static Vector512<float> Start => Vector512.Create(float.NegativeInfinity);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Add(Vector512<float> result, Vector512<float> value) => Vector512.Max(result, value);

        public Vector512<float> End(Vector512<float> result, int place) => result;
    }

    readonly struct Mean(float* divisors) : IReduction
    {
        public static Vector512<float> Start => default;

        public Vector512<float> Add(Vector512<float> result, Vector512<float> value) => result + value;

        public Vector512<float> End(Vector512<float> result, int place) => result / Vector512.Load(divisors + place);
    }
}
