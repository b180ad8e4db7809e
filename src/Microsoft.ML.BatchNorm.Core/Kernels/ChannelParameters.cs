using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// A few numbers a channel, laid out so that a kernel can walk along a flat array of rows: repeated to a period of at
/// least a vector, and a vector beyond, so that a load at any phase below the period is one load. The first entries
/// are the channels themselves.
/// </summary>
sealed class ChannelParameters<T> where T : unmanaged
{
    public ChannelParameters(int inner, params ReadOnlySpan<double[]> parameters)
    {
        int columns = parameters[0].Length * inner, vector = Vector512<T>.Count;
        Inner = inner;
        Period = columns * ((vector + columns - 1) / columns);
        Stride = Period + vector;
        Values = new T[Stride * parameters.Length];
        for (int p = 0; p < parameters.Length; p++)
        {
            Span<T> values = Values.AsSpan(p * Stride, Stride);
            double[] numbers = parameters[p];
            for (int c = 0; c < numbers.Length; c++)
                values.Slice(c * inner, inner).Fill(Wide.FromDouble<T>(numbers[c]));
            for (int at = columns; at < Stride; at += columns)
                values[..Math.Min(columns, Stride - at)].CopyTo(values[at..]);
        }
    }

    /// <summary>Elements that share a channel behind each other in a row.</summary>
    public int Inner { get; }

    public int Period { get; }

    /// <summary>The distance from one parameter's values to the next one's.</summary>
    public int Stride { get; }

    public T[] Values { get; }

    /// <summary>Whether all values are finite, as rounded to <typeparamref name="T"/>.</summary>
    public bool AreFinite()
    {
        int vector = Vector512<T>.Count, at = 0;
        for (; at <= Values.Length - vector; at += vector)
        {
            if (!Lanes.AreFinite(Vector512.Create(Values, at)))
                return false;
        }
        return at == Values.Length || Lanes.AreFinite(Vector512.Create(Values, Values.Length - vector));
    }
}
