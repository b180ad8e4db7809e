using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The sums of each column of a few rows that lie apart from each other, about a shard's centers. The rows of a unit
/// are added in their order by one thread, and units in their order to a shard: whoever sums them, and when, the bits
/// are the same.
/// </summary>
/// <remarks>For one thread at a time.</remarks>
sealed unsafe class RowUnit
{
    /// <summary>The rows that are added at once.</summary>
    public const int Group = 4;

    /// <summary>The rows of a unit, of which only the last of all may have fewer.</summary>
    public const int MostRows = 128;

    readonly int columns;
    readonly double[] memory;
    readonly double* centers, sums, squares;
    RowCenter? center;

    public RowUnit(int columns)
    {
        this.columns = columns;
        Padded = RowCenter.PaddedTo(columns);
        memory = GC.AllocateArray<double>(3 * Padded + RowCenter.Chunk, pinned: true);
        centers = Wide.Align((double*)Unsafe.AsPointer(ref memory[0]));
        sums = centers + Padded;
        squares = sums + Padded;
    }

    public int Rows { get; private set; }

    public bool IsFull => Rows >= MostRows;

    /// <summary>The centers that it was begun with.</summary>
    public RowCenter Center => center ?? throw new InvalidOperationException("The unit has not been begun.");

    /// <summary>The number of values in all chunks.</summary>
    public int Padded { get; }

    /// <summary>Takes the centers of the rows to come; where it has rows, those that it has already.</summary>
    public void Begin(RowCenter center)
    {
        if (this.center == center)
            return;
        ArgumentOutOfRangeException.ThrowIfNotEqual(center.Values.Length, Padded);
        ArgumentOutOfRangeException.ThrowIfNotEqual(Rows, 0);
        this.center = center;
        center.Values.CopyTo(new Span<double>(centers, Padded));
    }

    /// <summary>Adds the sums to others, and has no rows.</summary>
    /// <param name="others">As many values as <see cref="Padded"/> twice.</param>
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
    /// Adds four rows; false where a value is not finite, or a sum overflows, and the unit is spoilt.
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

    /// <summary>Adds one row; false as for four.</summary>
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
        // 0 · x is 0 where x is finite, and there only.
        Vector512<double> zero = Vector512<double>.Zero, rest = zero;
        double* middles = centers, sum = sums, square = squares;
        int length = Padded, last = columns - RowCenter.Chunk;
        for (int at = 0; at < length; at += RowCenter.Chunk)
        {
            int column = Math.Min(at, last);
            Vector512<double> middle = Vector512.Load(middles + at);
            Vector512<double> a0 = Wide.LoadEight(a + column) - middle, b0 = Wide.LoadEight(b + column) - middle;
            Vector512<double> c0 = Wide.LoadEight(c + column) - middle, d0 = Wide.LoadEight(d + column) - middle;
            Vector512<double> deviations = (a0 + b0) + (c0 + d0);
            CenteredSums.Add(sum + at, deviations);
            CenteredSums.AddSquares(square + at, a0, b0, c0, d0);
            rest = Wide.MultiplyAdd(deviations, zero, rest);
        }
        return Vector512.EqualsAll(rest, zero);
    }

    bool Sum<T>(T* row) where T : unmanaged
    {
        Vector512<double> zero = Vector512<double>.Zero, rest = zero;
        for (int at = 0; at < Padded; at += RowCenter.Chunk)
        {
            int column = Math.Min(at, columns - RowCenter.Chunk);
            Vector512<double> deviation = Wide.LoadEight(row + column) - Vector512.Load(centers + at);
            CenteredSums.Add(sums + at, deviation);
            CenteredSums.Add(squares + at, deviation * deviation);
            rest = Wide.MultiplyAdd(deviation, zero, rest);
        }
        return Vector512.EqualsAll(rest, zero);
    }
}
