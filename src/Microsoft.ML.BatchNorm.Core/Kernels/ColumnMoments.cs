using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Count, mean and sum of squared deviations of each column: one read of the data, in blocks that stay in the
/// first-level cache. A block is centred on its own mean in a second pass over the cache, with the remainder of that
/// mean put right (Chan, Golub, LeVeque, 1983), and merged in double.
/// </summary>
readonly unsafe struct ColumnMoments<T>(ColumnPlan plan, T* data, double* memory, int* failed, bool ignoreNonFinite)
    : IShardJob
    where T : unmanaged
{
    const int BlockBytes = 24 * 1024;

    /// <summary>The results of a shard, in chunk space.</summary>
    public Moments Shard(int shard) => Moments.In(memory + 3 * (nint)plan.Padded * shard, plan.Padded);

    public void Run(int index)
    {
        ColumnPlan.Item item = plan.ItemAt(index);
        Moments result = Shard(item.Shard).At(item.FirstChunk * Wide.Count);
        double* sums = stackalloc double[item.Chunks * Wide.Count];
        int blockRows = Math.Max(4, BlockBytes / (item.Chunks * Wide.Count * sizeof(T)) & ~3);
        for (int row = 0; row < item.Rows; row += blockRows)
        {
            int rows = Math.Min(blockRows, item.Rows - row);
            T* block = data + (item.FirstRow + (nint)row) * plan.Width;
            Sum(block, rows, item, sums);
            for (int chunk = 0; chunk < item.Chunks; chunk++)
            {
                T* column = block + plan.FirstColumn(item.FirstChunk + chunk);
                int at = chunk * Wide.Count;
                if (MergeDeviations(column, rows, plan.Width, sums + at, result.At(at)))
                    continue;
                if (!ignoreNonFinite)
                {
                    *failed = 1;
                    return;
                }
                for (int lane = 0; lane < Wide.Count; lane++)
                    ScalarMoments.MergeFinite(column + lane, rows, plan.Width, result.At(at + lane));
            }
        }
    }

    /// <summary>Sums of the columns, row after row, as the memory delivers them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Sum(T* block, int rows, ColumnPlan.Item item, double* sums)
    {
        nint stride = plan.Width;
        new Span<double>(sums, item.Chunks * Wide.Count).Clear();
        int row = 0;
        for (; row <= rows - 4; row += 4)
        {
            for (int chunk = 0; chunk < item.Chunks; chunk++)
            {
                T* x = block + row * stride + plan.FirstColumn(item.FirstChunk + chunk);
                Wide.Load(x, out var a0, out var a1);
                Wide.Load(x + stride, out var b0, out var b1);
                Wide.Load(x + 2 * stride, out var c0, out var c1);
                Wide.Load(x + 3 * stride, out var d0, out var d1);
                double* sum = sums + chunk * Wide.Count;
                (Vector512.Load(sum) + ((a0 + b0) + (c0 + d0))).Store(sum);
                (Vector512.Load(sum + 8) + ((a1 + b1) + (c1 + d1))).Store(sum + 8);
            }
        }
        for (; row < rows; row++)
        {
            for (int chunk = 0; chunk < item.Chunks; chunk++)
            {
                Wide.Load(block + row * stride + plan.FirstColumn(item.FirstChunk + chunk), out var a0, out var a1);
                double* sum = sums + chunk * Wide.Count;
                (Vector512.Load(sum) + a0).Store(sum);
                (Vector512.Load(sum + 8) + a1).Store(sum + 8);
            }
        }
    }

    /// <summary>Centres a block's chunk on its mean and merges it; false where a sum is not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static bool MergeDeviations(T* column, int rows, nint stride, double* sums, Moments result)
    {
        Vector512<double> count = Vector512.Create((double)rows);
        Vector512<double> mean0 = Vector512.Load(sums) / count, mean1 = Vector512.Load(sums + 8) / count;
        if (!Wide.IsFinite(mean0) || !Wide.IsFinite(mean1))
            return false;

        Vector512<double> rest0 = default, rest1 = default, square0 = default, square1 = default;
        Vector512<double> restB0 = default, restB1 = default, squareB0 = default, squareB1 = default;
        int row = 0;
        for (; row <= rows - 2; row += 2, column += 2 * stride)
        {
            Wide.Load(column, out var a0, out var a1);
            Wide.Load(column + stride, out var b0, out var b1);
            a0 -= mean0;
            a1 -= mean1;
            b0 -= mean0;
            b1 -= mean1;
            rest0 += a0;
            rest1 += a1;
            restB0 += b0;
            restB1 += b1;
            square0 = Wide.MultiplyAdd(a0, a0, square0);
            square1 = Wide.MultiplyAdd(a1, a1, square1);
            squareB0 = Wide.MultiplyAdd(b0, b0, squareB0);
            squareB1 = Wide.MultiplyAdd(b1, b1, squareB1);
        }
        if (row < rows)
        {
            Wide.Load(column, out var a0, out var a1);
            a0 -= mean0;
            a1 -= mean1;
            rest0 += a0;
            rest1 += a1;
            square0 = Wide.MultiplyAdd(a0, a0, square0);
            square1 = Wide.MultiplyAdd(a1, a1, square1);
        }
        Merge(result, count, mean0, rest0 + restB0, square0 + squareB0);
        Merge(result.At(8), count, mean1, rest1 + restB1, square1 + squareB1);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Merge(
        Moments result, Vector512<double> count, Vector512<double> mean, Vector512<double> rest, Vector512<double> square)
    {
        Vector512<double> correction = rest / count;
        MomentsMerge.Into(
            result, count, mean + correction, Vector512.Max(square - rest * correction, Vector512<double>.Zero));
    }
}
