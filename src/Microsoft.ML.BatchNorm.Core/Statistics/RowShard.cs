using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Count, mean and sum of squared deviations of each column of rows that lie apart from each other, summed where they
/// lie as they come. A shard is centred on the mean of its first rows; <see cref="ColumnMoments{T}"/> tells why this
/// loses next to nothing.
/// </summary>
/// <remarks>
/// Columns go in chunks of eight; where their number is no multiple of it, the last chunk starts earlier
/// and sums columns again, into sums of its own. For one thread at a time.
/// </remarks>
sealed unsafe class RowShard<T> where T : unmanaged
{
    /// <summary>The rows that are added at once.</summary>
    public const int Group = 4;

    /// <summary>The fewest columns, and the most whose sums stay in the first-level cache.</summary>
    public const int LeastColumns = Chunk, MostColumns = 1024;

    const int Chunk = 8;

    /// <summary>With centers from the first rows, some 2e-13 of M2 is lost at worst.</summary>
    const int MostRows = 8192;

    readonly int columns, padded;
    readonly double[] memory;
    readonly double* centers, sums, squares;

    public RowShard(int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, LeastColumns);
        this.columns = columns;
        padded = (columns + Chunk - 1) / Chunk * Chunk;
        memory = GC.AllocateArray<double>((3 + Moments.Arrays) * padded + Chunk, pinned: true);
        centers = Wide.Align((double*)Unsafe.AsPointer(ref memory[0]));
        sums = centers + padded;
        squares = sums + padded;
    }

    public int Rows { get; private set; }

    public bool IsFull => Rows >= MostRows;

    /// <summary>
    /// Adds four rows; false where a value is not finite, or a sum overflows, and the shard is spoilt.
    /// </summary>
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
        for (int at = 0; at < padded; at += Chunk)
            finite &= CenteredSums.Store(centers + at, sums + at, squares + at, Rows, result.At(at));
        if (!finite)
            throw new InvalidDataException("The statistics of x overflow a double.");
        int tail = columns % Chunk, whole = columns - tail;
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
        for (int at = 0; at < padded; at += Chunk)
        {
            int column = FirstColumn(at);
            Vector512<double> first = Wide.LoadEight(a + column) + Wide.LoadEight(b + column);
            Vector512<double> last = Wide.LoadEight(c + column) + Wide.LoadEight(d + column);
            ((first + last) * 0.25).Store(centers + at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    bool Sum(T* a, T* b, T* c, T* d)
    {
        // 0 · x is 0 where x is finite, and there only.
        Vector512<double> zero = Vector512<double>.Zero, rest = zero;
        double* center = centers, sum = sums, square = squares;
        int length = padded, last = columns - Chunk;
        for (int at = 0; at < length; at += Chunk)
        {
            int column = Math.Min(at, last);
            Vector512<double> middle = Vector512.Load(center + at);
            Vector512<double> a0 = Wide.LoadEight(a + column) - middle, b0 = Wide.LoadEight(b + column) - middle;
            Vector512<double> c0 = Wide.LoadEight(c + column) - middle, d0 = Wide.LoadEight(d + column) - middle;
            Vector512<double> deviations = (a0 + b0) + (c0 + d0);
            CenteredSums.Add(sum + at, deviations);
            CenteredSums.AddSquares(square + at, a0, b0, c0, d0);
            rest = Wide.MultiplyAdd(deviations, zero, rest);
        }
        return Vector512.EqualsAll(rest, zero);
    }

    bool Sum(T* row)
    {
        Vector512<double> zero = Vector512<double>.Zero, rest = zero;
        for (int at = 0; at < padded; at += Chunk)
        {
            Vector512<double> deviation = Wide.LoadEight(row + FirstColumn(at)) - Vector512.Load(centers + at);
            CenteredSums.Add(sums + at, deviation);
            CenteredSums.Add(squares + at, deviation * deviation);
            rest = Wide.MultiplyAdd(deviation, zero, rest);
        }
        return Vector512.EqualsAll(rest, zero);
    }

    int FirstColumn(int at) => Math.Min(at, columns - Chunk);
}
