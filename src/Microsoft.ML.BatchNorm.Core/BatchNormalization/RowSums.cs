using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Sums of each column over a unit of rows, which may lie anywhere, around the centers of a shard. One thread adds the
/// rows of a unit in their order, and units are added to a shard in their order. So the bits do not depend on which
/// thread sums a unit, or when.
/// </summary>
/// <remarks>For one thread at a time.</remarks>
sealed unsafe class RowUnit
{
    /// <summary>The rows that are added at once.</summary>
    public const int Group = 4;

    /// <summary>The rows of a unit; only the last unit of all may have fewer.</summary>
    public const int MostRows = 128;

    readonly int columns;
    readonly AlignedMemory<double> memory;
    readonly double* centers, sums, squares;
    RowCenter? center;

    public RowUnit(int columns)
    {
        this.columns = columns;
        Padded = RowCenter.PaddedTo(columns);
        memory = new AlignedMemory<double>(3L * Padded);
        centers = memory.Start;
        sums = centers + Padded;
        squares = sums + Padded;
    }

    public int Rows { get; private set; }

    public bool IsFull => Rows >= MostRows;

    /// <summary>The centers of the sums.</summary>
    public RowCenter Center => center ?? throw new InvalidOperationException("The unit has not been begun.");

    /// <summary>The number of values in all chunks.</summary>
    public int Padded { get; }

    /// <summary>Sets the centers for the rows to come. A unit that has rows already must keep its centers.</summary>
    public void Begin(RowCenter center)
    {
        if (this.center == center)
            return;
        ArgumentOutOfRangeException.ThrowIfNotEqual(center.Values.Length, Padded);
        ArgumentOutOfRangeException.ThrowIfNotEqual(Rows, 0);
        this.center = center;
        center.Values.CopyTo(new Span<double>(centers, Padded));
    }

    /// <summary>Adds the sums to others, and empties the unit.</summary>
    /// <param name="others">Twice <see cref="Padded"/> values: sums, then sums of squares.</param>
    public void MoveTo(double* others)
    {
        for (int at = 0; at < 2 * Padded; at += RowCenter.Chunk)
        {
            CenteredSums.Add(others + at, Vector512.Load(sums + at));
            Vector512<double>.Zero.Store(sums + at);
        }
        Rows = 0;
    }

    /// <summary>
    /// Adds four rows. If a value is not finite or a sum overflows, it returns false, and the unit is unusable.
    /// </summary>
    public bool Add<T>(ReadOnlySpan<T> a, ReadOnlySpan<T> b, ReadOnlySpan<T> c, ReadOnlySpan<T> d) where T : unmanaged
    {
        Check(a);
        Check(b);
        Check(c);
        Check(d);
        fixed (T* first = a, second = b, third = c, fourth = d)
        {
            Rows += Group;
            return Sum(first, second, third, fourth);
        }
    }

    /// <summary>Adds one row; otherwise the same.</summary>
    public bool Add<T>(ReadOnlySpan<T> row) where T : unmanaged
    {
        Check(row);
        fixed (T* values = row)
        {
            Rows++;
            return Sum(values);
        }
    }

    void Check<T>(ReadOnlySpan<T> row) => ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, columns);

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    bool Sum<T>(T* a, T* b, T* c, T* d) where T : unmanaged
    {
        // 0·x is 0 if and only if x is finite.
        Vector512<double> zero = Vector512<double>.Zero, rest = zero;
        double* middles = centers, sum = sums, square = squares;
        int length = Padded, last = columns - RowCenter.Chunk;
        for (int at = 0; at < length; at += RowCenter.Chunk)
        {
            int column = Math.Min(at, last);
            Vector512<double> middle = Vector512.Load(middles + at);
            Vector512<double> a0 = Simd.LoadEight(a + column) - middle, b0 = Simd.LoadEight(b + column) - middle;
            Vector512<double> c0 = Simd.LoadEight(c + column) - middle, d0 = Simd.LoadEight(d + column) - middle;
            Vector512<double> deviations = (a0 + b0) + (c0 + d0);
            CenteredSums.Add(sum + at, deviations);
            CenteredSums.AddSquares(square + at, a0, b0, c0, d0);
            rest = Simd.MultiplyAdd(deviations, zero, rest);
        }
        return Vector512.EqualsAll(rest, zero);
    }

    bool Sum<T>(T* row) where T : unmanaged
    {
        Vector512<double> zero = Vector512<double>.Zero, rest = zero;
        for (int at = 0; at < Padded; at += RowCenter.Chunk)
        {
            int column = Math.Min(at, columns - RowCenter.Chunk);
            Vector512<double> deviation = Simd.LoadEight(row + column) - Vector512.Load(centers + at);
            CenteredSums.Add(sums + at, deviation);
            CenteredSums.Add(squares + at, deviation * deviation);
            rest = Simd.MultiplyAdd(deviation, zero, rest);
        }
        return Vector512.EqualsAll(rest, zero);
    }
}

/// <summary>
/// The centers of the columns of a shard's rows: the mean of its first rows. <see cref="ColumnMoments{T}"/> explains
/// why this loses next to nothing.
/// </summary>
/// <remarks>
/// Columns are cut into chunks of eight. If their number is not a multiple of eight, the last chunk starts earlier and
/// repeats columns.
/// </remarks>
sealed unsafe class RowCenter
{
    /// <summary>The columns of a chunk, and the fewest columns of all.</summary>
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

    /// <summary>The mean of four rows, which may be the same row.</summary>
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
                Vector512<double> one = Simd.LoadEight(first + column);
                Vector512<double> more = Simd.LoadEight(second + column) - one;
                more += Simd.LoadEight(third + column) - one + (Simd.LoadEight(fourth + column) - one);
                (one + more * 0.25).Store(to + at);
            }
        }
    }

    void Check<T>(ReadOnlySpan<T> row) => ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, columns);
}

/// <summary>Moments of each column over units of rows that have the same centers.</summary>
/// <remarks>For one thread at a time.</remarks>
sealed unsafe class RowShard
{
    /// <summary>The fewest columns, and the most whose sums fit into the first-level cache.</summary>
    public const int LeastColumns = RowCenter.Chunk, MostColumns = 1024;

    /// <summary>The units of a shard. With centers from the first rows, they lose at most some 2e-13 of M2.</summary>
    public const int Units = 64;

    readonly int columns, padded;
    readonly AlignedMemory<double> memory;
    readonly double* sums, squares;
    RowCenter? center;

    public RowShard(int columns)
    {
        this.columns = columns;
        padded = RowCenter.PaddedTo(columns);
        memory = new AlignedMemory<double>((2L + Moments.Arrays) * padded);
        sums = memory.Start;
        squares = sums + padded;
    }

    public int Rows { get; private set; }

    public bool IsFull => Rows >= Units * RowUnit.MostRows;

    /// <summary>Adds the sums of a unit and empties it. All units of a shard must have the same centers.</summary>
    public void Add(RowUnit unit)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(unit.Padded, padded);
        if (Rows == 0)
            new Span<double>(sums, 2 * padded).Clear();
        center = unit.Center;
        Rows += unit.Rows;
        unit.MoveTo(sums);
    }

    /// <summary>Merges the moments into statistics, and empties the shard.</summary>
    /// <exception cref="InvalidDataException">A value was not finite, or a sum overflowed.</exception>
    public void MoveTo(BatchStatistics statistics)
    {
        Moments result = Moments.In(squares + padded, padded);
        fixed (double* centers = center!.Values)
        {
            for (int at = 0; at < padded; at += RowCenter.Chunk)
                CenteredSums.Store(centers + at, sums + at, squares + at, Rows, result.At(at));
        }
        int tail = columns % RowCenter.Chunk, whole = columns - tail;
        for (int array = 0; array < Moments.Arrays && tail > 0; array++)
        {
            var values = new Span<double>(result.Count + array * (nint)padded, padded);
            values[^tail..].CopyTo(values[whole..]);
        }
        int overflow = Finite.IndexOf<double>(new(result.M2, columns));
        if (overflow >= 0)
            throw VarianceOverflow.Of(overflow);
        statistics.Merge(result);
        Rows = 0;
    }
}
