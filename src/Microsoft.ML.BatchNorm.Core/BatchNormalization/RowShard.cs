using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>Count, mean and sum of squared deviations of each column of units of rows about the same centers.</summary>
/// <remarks>For one thread at a time.</remarks>
sealed unsafe class RowShard
{
    /// <summary>The fewest columns, and the most whose sums stay in the first-level cache.</summary>
    public const int LeastColumns = RowCenter.Chunk, MostColumns = 1024;

    /// <summary>The units of a shard: with centers from the first rows, some 2e-13 of M2 is lost at worst.</summary>
    public const int Units = 64;

    readonly int columns, padded;
    readonly double[] memory;
    readonly double* sums, squares;
    RowCenter? center;

    public RowShard(int columns)
    {
        this.columns = columns;
        padded = RowCenter.PaddedTo(columns);
        memory = GC.AllocateArray<double>((2 + Moments.Arrays) * padded + RowCenter.Chunk, pinned: true);
        sums = Wide.Align((double*)Unsafe.AsPointer(ref memory[0]));
        squares = sums + padded;
    }

    public int Rows { get; private set; }

    public bool IsFull => Rows >= Units * RowUnit.MostRows;

    /// <summary>Adds a unit, about the same centers as those before it, which then has no rows.</summary>
    public void Add(RowUnit unit)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(unit.Padded, padded);
        if (Rows == 0)
            new Span<double>(sums, 2 * padded).Clear();
        center = unit.Center;
        Rows += unit.Rows;
        unit.MoveTo(sums);
    }

    /// <summary>Merges the rows into other statistics, and begins with none.</summary>
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
        for (int column = 0; column < columns; column++)
        {
            if (!double.IsFinite(result.M2[column]))
                throw VarianceOverflow.Of(column);
        }
        statistics.Merge(result);
        Rows = 0;
    }
}
