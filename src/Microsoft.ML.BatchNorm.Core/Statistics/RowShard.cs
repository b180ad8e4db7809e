using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Count, mean and sum of squared deviations of each column of rows that lie apart from each other, summed where they lie
/// as they come. A shard is centred on the mean of its first rows; <see cref="ColumnMoments{T}"/> tells why this loses next
/// to nothing.
/// </summary>
/// <remarks>
/// Columns go in chunks of <see cref="Wide.Count"/>; where their number is no multiple of it, the last chunk starts earlier
/// and sums columns again, into sums of its own. For one thread at a time.
/// </remarks>
sealed unsafe class RowShard<T> where T : unmanaged
{
    /// <summary>The rows that are added at once.</summary>
    public const int Group = 4;

    /// <summary>The fewest columns, and the most whose sums stay in the first-level cache.</summary>
    public const int LeastColumns = Wide.Count, MostColumns = 1024;

    /// <summary>With centers from the first rows, some 2e-13 of M2 is lost at worst.</summary>
    const int MostRows = 8192;

    readonly int columns, padded;
    readonly double[] memory;
    readonly double* centers, sums, squares;

    public RowShard(int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, LeastColumns);
        this.columns = columns;
        padded = (columns + Wide.Count - 1) / Wide.Count * Wide.Count;
        memory = GC.AllocateArray<double>((3 + Moments.Arrays) * padded + 8, pinned: true);
        centers = Wide.Align((double*)Unsafe.AsPointer(ref memory[0]));
        sums = centers + padded;
        squares = sums + padded;
    }

    public int Rows { get; private set; }

    public bool IsFull => Rows >= MostRows;

    /// <summary>Adds four rows; false where a value is not finite, or a sum overflows, and the shard is spoilt.</summary>
    public bool Add(ReadOnlySpan<T> a, ReadOnlySpan<T> b, ReadOnlySpan<T> c, ReadOnlySpan<T> d)
    {
        Check(a);
        Check(b);
        Check(c);
        Check(d);
        fixed (T* first = a, second = b, third = c, fourth = d)
        {
            if (Rows == 0)
                Center(first, second, third, fourth);
            Rows += Group;
            return Sum(first, second, third, fourth);
        }
    }

    /// <summary>Adds one row; false as for four.</summary>
    public bool Add(ReadOnlySpan<T> row)
    {
        Check(row);
        fixed (T* values = row)
        {
            if (Rows == 0)
                Center(values, values, values, values);
            Rows++;
            return Sum(values);
        }
    }

    /// <summary>Merges the rows into other statistics, and begins with none.</summary>
    /// <exception cref="InvalidDataException">A value was not finite, or a sum overflowed.</exception>
    public void MoveTo(BatchStatistics statistics)
    {
        Moments result = Moments.In(squares + padded, padded);
        bool finite = true;
        for (int at = 0; at < padded; at += 8)
            finite &= CenteredSums.Store(centers + at, sums + at, squares + at, Rows, result.At(at));
        if (!finite)
            throw new InvalidDataException("The statistics of x overflow a double.");
        int tail = columns % Wide.Count, whole = columns - tail;
        for (int array = 0; array < Moments.Arrays && tail > 0; array++)
        {
            var values = new Span<double>(result.Count + array * (nint)padded, padded);
            values[^tail..].CopyTo(values[whole..]);
        }
        statistics.Merge(result);
        Rows = 0;
        new Span<double>(sums, 2 * padded).Clear();
    }

    void Check(ReadOnlySpan<T> row) => ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, columns);

    /// <summary>The mean of the first rows.</summary>
    void Center(T* a, T* b, T* c, T* d)
    {
        Vector512<double> quarter = Vector512.Create(0.25);
        for (int at = 0; at < padded; at += Wide.Count)
        {
            int column = FirstColumn(at);
            Wide.Load(a + column, out var a0, out var a1);
            Wide.Load(b + column, out var b0, out var b1);
            Wide.Load(c + column, out var c0, out var c1);
            Wide.Load(d + column, out var d0, out var d1);
            (((a0 + b0) + (c0 + d0)) * quarter).Store(centers + at);
            (((a1 + b1) + (c1 + d1)) * quarter).Store(centers + at + 8);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    bool Sum(T* a, T* b, T* c, T* d)
    {
        // 0 · x is 0 where x is finite, and there only.
        Vector512<double> zero = Vector512<double>.Zero, rest0 = zero, rest1 = zero;
        double* center = centers, sum = sums, square = squares;
        for (int at = 0; at < padded; at += Wide.Count)
        {
            int column = FirstColumn(at);
            Wide.Load(a + column, out var a0, out var a1);
            Wide.Load(b + column, out var b0, out var b1);
            Wide.Load(c + column, out var c0, out var c1);
            Wide.Load(d + column, out var d0, out var d1);
            var sum0 = CenteredSums.AddFour(a0, b0, c0, d0, center + at, sum + at, square + at);
            var sum1 = CenteredSums.AddFour(a1, b1, c1, d1, center + at + 8, sum + at + 8, square + at + 8);
            rest0 = Wide.MultiplyAdd(sum0, zero, rest0);
            rest1 = Wide.MultiplyAdd(sum1, zero, rest1);
        }
        return Vector512.EqualsAll(rest0 + rest1, zero);
    }

    bool Sum(T* row)
    {
        Vector512<double> zero = Vector512<double>.Zero, rest = zero;
        for (int at = 0; at < padded; at += Wide.Count)
        {
            Wide.Load(row + FirstColumn(at), out var a0, out var a1);
            rest = Wide.MultiplyAdd(CenteredSums.AddOne(a0, centers + at, sums + at, squares + at), zero, rest);
            rest = Wide.MultiplyAdd(CenteredSums.AddOne(a1, centers + at + 8, sums + at + 8, squares + at + 8), zero, rest);
        }
        return Vector512.EqualsAll(rest, zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    int FirstColumn(int at) => Math.Min(at, columns - Wide.Count);
}
