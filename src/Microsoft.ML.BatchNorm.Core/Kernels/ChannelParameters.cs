using System.Numerics;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A few parameters, each of one number per column, laid out for a kernel that walks along a flat array of rows. The
/// numbers are repeated for one period and one vector more, so that a vector can be loaded at any place in the period.
/// The period is a multiple of the columns and of the vector's length, unless that would exceed 1024; then it is only a
/// multiple of the columns.
/// </summary>
sealed class ChannelParameters<T> where T : unmanaged
{
    const int MostRepeated = 1024;
    const int LeastPeriod = 64;

    readonly int columns;

    /// <summary>Room for parameters. Write to <see cref="Columns"/>, then call <see cref="Repeat"/>.</summary>
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

    /// <summary>Parameters of one number per channel, which has <paramref name="inner"/> columns.</summary>
    public ChannelParameters(int inner, params ReadOnlySpan<double[]> parameters)
        : this(parameters[0].Length * inner, parameters.Length)
    {
        for (int p = 0; p < parameters.Length; p++)
        {
            Span<T> target = Columns(p);
            double[] numbers = parameters[p];
            for (int c = 0; c < numbers.Length; c++)
                target.Slice(c * inner, inner).Fill(Simd.FromDouble<T>(numbers[c]));
        }
        Repeat();
    }

    public int Period { get; }

    /// <summary>The distance from the values of one parameter to those of the next.</summary>
    public int Stride { get; }

    public T[] Values { get; }

    /// <summary>The columns of a parameter, without their repetition.</summary>
    public Span<T> Columns(int parameter) => Values.AsSpan(parameter * Stride, columns);

    /// <summary>Repeats the columns of each parameter until its room is full.</summary>
    public void Repeat()
    {
        for (int start = 0; start < Values.Length; start += Stride)
        {
            for (int at = columns; at < Stride; at += columns)
                Array.Copy(Values, start, Values, start + at, Math.Min(columns, Stride - at));
        }
    }

    /// <summary>The largest power of two that divides a number and a power of two.</summary>
    static int PowerOfTwo(int number, int power) =>
        1 << Math.Min(BitOperations.TrailingZeroCount(number), BitOperations.Log2((uint)power));

    /// <summary>Whether all values are finite after they were rounded to <typeparamref name="T"/>.</summary>
    public bool AreFinite() => Finite.All<T>(Values);
}
