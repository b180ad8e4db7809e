using System.Numerics;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// A few numbers a channel, laid out so that a kernel can walk along a flat array of rows: repeated to a period of at
/// least a vector, and a vector beyond, so that a load at any phase below the period is one load. Where a few rows make
/// whole vectors, the period does. The first entries are the channels themselves.
/// </summary>
sealed class ChannelParameters<T> where T : unmanaged
{
    const int MostRepeated = 1024;
    const int LeastPeriod = 64;

    readonly int columns;

    /// <summary>Room for parameters, whose first columns are then to be written and repeated.</summary>
    public ChannelParameters(int columns, int parameters)
    {
        int vector = Vector512<T>.Count;
        this.columns = columns;
        int whole = columns * (vector / PowerOfTwo(columns, vector));
        int unit = whole <= MostRepeated ? whole : columns, least = whole <= MostRepeated ? LeastPeriod : vector;
        Period = unit * ((least + unit - 1) / unit);
        Stride = Period + vector;
        Values = new T[Stride * parameters];
    }

    /// <summary>Parameters of one number a channel, for channels of <paramref name="inner"/> columns each.</summary>
    public ChannelParameters(int inner, params ReadOnlySpan<double[]> parameters)
        : this(parameters[0].Length * inner, parameters.Length)
    {
        for (int p = 0; p < parameters.Length; p++)
        {
            Span<T> target = Columns(p);
            double[] numbers = parameters[p];
            for (int c = 0; c < numbers.Length; c++)
                target.Slice(c * inner, inner).Fill(Vectors.FromDouble<T>(numbers[c]));
        }
        Repeat();
    }

    public int Period { get; }

    /// <summary>The distance from one parameter's values to the next one's.</summary>
    public int Stride { get; }

    public T[] Values { get; }

    /// <summary>The columns of a parameter, without their repetition.</summary>
    public Span<T> Columns(int parameter) => Values.AsSpan(parameter * Stride, columns);

    /// <summary>Repeats the columns of all parameters behind themselves.</summary>
    public void Repeat()
    {
        for (int start = 0; start < Values.Length; start += Stride)
        {
            for (int at = columns; at < Stride; at += columns)
                Array.Copy(Values, start, Values, start + at, Math.Min(columns, Stride - at));
        }
    }

    /// <summary>The largest power of two that divides both numbers, of which the second is one.</summary>
    static int PowerOfTwo(int number, int power) =>
        1 << Math.Min(BitOperations.TrailingZeroCount(number), BitOperations.Log2((uint)power));

    /// <summary>Whether all values are finite, as rounded to <typeparamref name="T"/>.</summary>
    public bool AreFinite() => Finite.All<T>(Values);
}
