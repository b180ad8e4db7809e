using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// What the columns of a shard's rows are centred on, the mean of its first rows; <see cref="ColumnMoments{T}"/> tells
/// why this loses next to nothing.
/// </summary>
/// <remarks>
/// Columns go in chunks of eight; where their number is no multiple of it, the last chunk starts earlier and repeats
/// columns.
/// </remarks>
sealed unsafe class RowCenter
{
    /// <summary>The columns of a chunk, and the fewest that there may be.</summary>
    public const int Chunk = 8;

    readonly int columns;
    readonly double[] values;

    RowCenter(int columns)
    {
        this.columns = columns;
        values = new double[PaddedTo(columns)];
    }

    /// <summary>The values of all chunks.</summary>
    public ReadOnlySpan<double> Values => values;

    /// <summary>The mean of four rows, which may be one and the same.</summary>
    public static RowCenter Of<T>(ReadOnlySpan<T> a, ReadOnlySpan<T> b, ReadOnlySpan<T> c, ReadOnlySpan<T> d)
        where T : unmanaged
    {
        var center = new RowCenter(a.Length);
        center.Set(a, b, c, d);
        return center;
    }

    /// <summary>The number of values in all chunks.</summary>
    public static int PaddedTo(int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, Chunk);
        return (columns + Chunk - 1) / Chunk * Chunk;
    }

    void Set<T>(ReadOnlySpan<T> a, ReadOnlySpan<T> b, ReadOnlySpan<T> c, ReadOnlySpan<T> d) where T : unmanaged
    {
        Check(b);
        Check(c);
        Check(d);
        fixed (T* first = a, second = b, third = c, fourth = d)
        fixed (double* to = values)
        {
            for (int at = 0; at < values.Length; at += Chunk)
            {
                int column = Math.Min(at, columns - Chunk);
                Vector512<double> one = Wide.LoadEight(first + column), more = Wide.LoadEight(second + column) - one;
                more += Wide.LoadEight(third + column) - one + (Wide.LoadEight(fourth + column) - one);
                (one + more * 0.25).Store(to + at);
            }
        }
    }

    void Check<T>(ReadOnlySpan<T> row) => ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, columns);
}
