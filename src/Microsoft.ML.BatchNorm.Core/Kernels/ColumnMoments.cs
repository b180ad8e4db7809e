using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// Count, mean and sum of squared deviations of each column, in one read of the data. A shard is centred on the mean of
/// its first rows, a block that stays in the first-level cache, and sums <c>d = x − center</c> and <c>d²</c> in double.
/// </summary>
/// <remarks>
/// <c>M2 = Σd² − (Σd)²/n</c> is as good as a second pass. Its loss is u·n·δ², with δ from the center to the mean, and
/// the k first rows alone contribute k·δ² to M2; so in a shard of n rows at most n/k units of rounding of M2 are lost,
/// some 2e-13 of it for the worst data, and next to none where the first rows are like the others.
/// </remarks>
readonly unsafe struct ColumnMoments<T>(ColumnPlan plan, T* data, double* shards, int* failed, bool ignoreNonFinite)
    : IShardJob
    where T : unmanaged
{
    const int CenterRows = 8;

    /// <summary>How far ahead memory is asked for: its latency times its rate.</summary>
    const int PrefetchBytes = 4096;

    /// <summary>The results of a shard, in chunk space.</summary>
    public Moments Shard(int shard) => Moments.In(shards + Moments.Arrays * (nint)plan.Padded * shard, plan.Padded);

    [SkipLocalsInit]
    public void Run(int index)
    {
        ColumnPlan.Item item = plan.ItemAt(index);
        int length = item.Chunks * Wide.Count;
        double* memory = stackalloc double[3 * ColumnPlan.TileColumns + 8];
        double* centers = Wide.Align(memory), sums = centers + length, squares = sums + length;
        new Span<double>(centers, 3 * length).Clear();
        SumFirst(item, centers);
        Sum(item, centers, sums, squares);

        Moments result = Shard(item.Shard).At(item.FirstChunk * Wide.Count);
        bool finite = true;
        for (int i = 0; i < length; i += 8)
            finite &= CenteredSums.Store(centers + i, sums + i, squares + i, item.Rows, result.At(i));
        if (!finite && !SumAgain(item, result, length))
            *failed = 1;
    }

    /// <summary>
    /// The mean of the first rows, formed around the first, so that it is that of equal rows to the last bit, and no
    /// sum overflows where the variance does not.
    /// </summary>
    void SumFirst(ColumnPlan.Item item, double* centers)
    {
        int rows = Math.Min(CenterRows, item.Rows);
        T* first = data + (nint)item.FirstRow * plan.Width;
        for (int chunk = 0; chunk < item.Chunks; chunk++)
        {
            T* column = first + plan.FirstColumn(item.FirstChunk + chunk);
            Vector512<double> sum0 = default, sum1 = default, count = Vector512.Create((double)rows);
            Wide.Load(column, out var first0, out var first1);
            for (int row = 1; row < rows; row++)
            {
                Wide.Load(column += plan.Width, out var a0, out var a1);
                sum0 += a0 - first0;
                sum1 += a1 - first1;
            }
            (first0 + sum0 / count).Store(centers + chunk * Wide.Count);
            (first1 + sum1 / count).Store(centers + chunk * Wide.Count + 8);
        }
    }

    /// <summary>Sums around the centers, row after row, as the memory delivers them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Sum(ColumnPlan.Item item, double* centers, double* sums, double* squares)
    {
        nint stride = plan.Width, ahead = Math.Max(4, PrefetchBytes / (plan.Width * sizeof(T))) * stride;
        int row = 0;
        for (; row <= item.Rows - 4; row += 4)
        {
            T* rows = data + (item.FirstRow + (nint)row) * stride;
            for (int chunk = 0; chunk < item.Chunks; chunk++)
            {
                T* x = rows + plan.FirstColumn(item.FirstChunk + chunk);
                int at = chunk * Wide.Count;
                Vector512<double> center0 = Vector512.Load(centers + at), center1 = Vector512.Load(centers + at + 8);
                Wide.Load(x, out var a0, out var a1);
                Wide.Load(x + stride, out var b0, out var b1);
                Wide.Load(x + 2 * stride, out var c0, out var c1);
                Wide.Load(x + 3 * stride, out var d0, out var d1);
                for (int next = 0; next < 4; next++)
                    Wide.Prefetch(x + ahead + next * stride);
                a0 -= center0;
                b0 -= center0;
                c0 -= center0;
                d0 -= center0;
                CenteredSums.Add(sums + at, (a0 + b0) + (c0 + d0));
                CenteredSums.AddSquares(squares + at, a0, b0, c0, d0);
                a1 -= center1;
                b1 -= center1;
                c1 -= center1;
                d1 -= center1;
                CenteredSums.Add(sums + at + 8, (a1 + b1) + (c1 + d1));
                CenteredSums.AddSquares(squares + at + 8, a1, b1, c1, d1);
            }
        }
        for (; row < item.Rows; row++)
        {
            T* rows = data + (item.FirstRow + (nint)row) * stride;
            for (int chunk = 0; chunk < item.Chunks; chunk++)
            {
                int at = chunk * Wide.Count;
                Wide.Load(rows + plan.FirstColumn(item.FirstChunk + chunk), out var a0, out var a1);
                a0 -= Vector512.Load(centers + at);
                a1 -= Vector512.Load(centers + at + 8);
                CenteredSums.Add(sums + at, a0);
                CenteredSums.Add(squares + at, a0 * a0);
                CenteredSums.Add(sums + at + 8, a1);
                CenteredSums.Add(squares + at + 8, a1 * a1);
            }
        }
    }

    /// <summary>
    /// Does the columns that hold something not finite again, one value after the other, without it; and those whose
    /// sums overflow around their centers. Where they do again, M2 is not finite. False where that, or a value that is
    /// not finite, counts.
    /// </summary>
    bool SumAgain(ColumnPlan.Item item, Moments result, int length)
    {
        for (int at = 0; at < length; at++)
        {
            Moments one = result.At(at);
            if (double.IsFinite(*one.M2))
                continue;
            one.Clear();
            int column = plan.FirstColumn(item.FirstChunk + at / Wide.Count) + at % Wide.Count;
            if (!ScalarMoments.Merge(
                    data + (nint)item.FirstRow * plan.Width + column, item.Rows, plan.Width, one, ignoreNonFinite)
                && !ignoreNonFinite)
                return false;
        }
        return true;
    }
}
