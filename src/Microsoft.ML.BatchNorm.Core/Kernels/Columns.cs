using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Count, mean and sum of squared deviations of each column, in one read of the data. Each shard sums
/// <c>d = x − center</c> and <c>d²</c> in double. The center is the mean of its first rows, which are still in the
/// first-level cache when they are read again.
/// </summary>
/// <remarks>
/// <c>M2 = Σd² − (Σd)²/n</c> is as good as a second pass. It loses u·n·δ², where u is the unit of rounding and δ the
/// distance from the center to the mean. The k first rows alone contribute k·δ² to M2, so that a shard of n rows loses
/// at most n/k units of rounding of M2: some 2e-13 for the worst data, and next to nothing if the first rows are like
/// the others.
/// </remarks>
readonly unsafe struct ColumnMoments<T>(ColumnPlan plan, T* data, double* shards, int* failed, bool ignoreNonFinite)
    : IShardJob
    where T : unmanaged
{
    const int CenterRows = 8;

    /// <summary>How far ahead memory is prefetched: its latency times its rate.</summary>
    const int PrefetchBytes = 4096;

    /// <summary>The results of a shard, in chunk space.</summary>
    public Moments Shard(int shard) => Moments.In(shards + Moments.Arrays * (nint)plan.Padded * shard, plan.Padded);

    [SkipLocalsInit]
    public void Run(int index)
    {
        ColumnPlan.Item item = plan.ItemAt(index);
        int length = item.Chunks * Simd.Chunk;
        double* memory = stackalloc double[3 * ColumnPlan.TileColumns + 8];
        double* centers = (double*)Simd.Align(memory), sums = centers + length, squares = sums + length;
        new Span<double>(centers, 3 * length).Clear();
        SumFirst(item, centers);
        Sum(item, centers, sums, squares);

        Moments result = Shard(item.Shard).At(item.FirstChunk * Simd.Chunk);
        bool finite = true;
        for (int i = 0; i < length; i += 8)
            finite &= CenteredSums.Store(centers + i, sums + i, squares + i, item.Rows, result.At(i));
        if (!finite && !SumAgain(item, result, length))
            *failed = 1;
    }

    /// <summary>
    /// The mean of the first rows. It is summed around the first row, so that equal rows give exactly their value, and
    /// no sum overflows unless the variance does.
    /// </summary>
    void SumFirst(ColumnPlan.Item item, double* centers)
    {
        int rows = Math.Min(CenterRows, item.Rows);
        T* first = data + (nint)item.FirstRow * plan.Width;
        for (int chunk = 0; chunk < item.Chunks; chunk++)
        {
            T* column = first + plan.FirstColumn(item.FirstChunk + chunk);
            Vector512<double> sum0 = default, sum1 = default, count = Vector512.Create((double)rows);
            Simd.LoadChunk(column, out var first0, out var first1);
            for (int row = 1; row < rows; row++)
            {
                Simd.LoadChunk(column += plan.Width, out var a0, out var a1);
                sum0 += a0 - first0;
                sum1 += a1 - first1;
            }
            (first0 + sum0 / count).Store(centers + chunk * Simd.Chunk);
            (first1 + sum1 / count).Store(centers + chunk * Simd.Chunk + 8);
        }
    }

    /// <summary>Sums around the centers, row after row.</summary>
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
                int at = chunk * Simd.Chunk;
                Vector512<double> center0 = Vector512.Load(centers + at), center1 = Vector512.Load(centers + at + 8);
                Simd.LoadChunk(x, out var a0, out var a1);
                Simd.LoadChunk(x + stride, out var b0, out var b1);
                Simd.LoadChunk(x + 2 * stride, out var c0, out var c1);
                Simd.LoadChunk(x + 3 * stride, out var d0, out var d1);
                for (int next = 0; next < 4; next++)
                    Simd.Prefetch(x + ahead + next * stride);
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
                int at = chunk * Simd.Chunk;
                Simd.LoadChunk(rows + plan.FirstColumn(item.FirstChunk + chunk), out var a0, out var a1);
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
    /// Sums the columns again whose result is not finite, value by value and without values that are not finite. If a
    /// sum overflows again, M2 stays infinite. Returns false if a column fails and such values are not ignored.
    /// </summary>
    bool SumAgain(ColumnPlan.Item item, Moments result, int length)
    {
        for (int at = 0; at < length; at++)
        {
            Moments one = result.At(at);
            if (double.IsFinite(*one.M2))
                continue;
            one.Clear();
            int column = plan.FirstColumn(item.FirstChunk + at / Simd.Chunk) + at % Simd.Chunk;
            if (!ScalarMoments.Merge(
                    data + (nint)item.FirstRow * plan.Width + column, item.Rows, plan.Width, one, ignoreNonFinite)
                && !ignoreNonFinite)
                return false;
        }
        return true;
    }
}

/// <summary>
/// How an array of rows is cut into items if each column is summed by itself. Short rows are packed: several in a row
/// make one wide row, whose columns are merged at the end. Columns are cut into chunks of <see cref="Simd.Chunk"/>.
/// If the width is not a multiple of that, the last chunk starts earlier and repeats columns. Results are therefore
/// arrays of <see cref="Padded"/> values, the columns of chunk after chunk: "chunk space".
/// </summary>
readonly struct ColumnPlan
{
    const int PackedWidth = 32;
    const int TileChunks = TileColumns / Simd.Chunk;
    const int LeastShardRows = 256;

    /// <summary>The most columns of an item.</summary>
    public const int TileColumns = 512;

    public ColumnPlan(int rows, int columns)
    {
        Columns = columns;
        Pack = Math.Max(1, PackedWidth / columns);
        Width = columns * Pack;
        Rows = rows / Pack;
        LeftOver = rows % Pack;
        Chunks = (Width + Simd.Chunk - 1) / Simd.Chunk;
        ShardRows = Math.Max(LeastShardRows, ShardJob.ItemElements / Width);
        Shards = (Rows + ShardRows - 1) / ShardRows;
        Tiles = (Chunks + TileChunks - 1) / TileChunks;
    }

    /// <summary>The number of columns of the array.</summary>
    public int Columns { get; }

    /// <summary>The number of the array's rows in a packed row.</summary>
    public int Pack { get; }

    /// <summary>The number of columns of a packed row: at least <see cref="Simd.Chunk"/>.</summary>
    public int Width { get; }

    /// <summary>The number of packed rows.</summary>
    public int Rows { get; }

    /// <summary>The number of rows at the end of the array that do not fill a packed row.</summary>
    public int LeftOver { get; }

    public int Chunks { get; }

    public int Padded => Chunks * Simd.Chunk;

    public int Shards { get; }

    int ShardRows { get; }

    int Tiles { get; }

    public int Items => Shards * Tiles;

    public int FirstColumn(int chunk) => Math.Min(chunk * Simd.Chunk, Width - Simd.Chunk);

    public Item ItemAt(int item)
    {
        int shard = item / Tiles, tile = item % Tiles;
        int firstRow = shard * ShardRows, firstChunk = tile * TileChunks;
        return new Item(
            shard, firstRow, Math.Min(ShardRows, Rows - firstRow), firstChunk,
            Math.Min(TileChunks, Chunks - firstChunk));
    }

    public readonly record struct Item(int Shard, int FirstRow, int Rows, int FirstChunk, int Chunks);
}

/// <summary>
/// Sums of <c>d = x − center</c> and <c>d²</c> of columns, in double; <see cref="ColumnMoments{T}"/> explains what
/// they lose.
/// </summary>
static unsafe class CenteredSums
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(double* sum, Vector512<double> value) => (Vector512.Load(sum) + value).Store(sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddSquares(
        double* square, Vector512<double> a, Vector512<double> b, Vector512<double> c, Vector512<double> d) =>
        (Simd.MultiplyAdd(a, a, Simd.MultiplyAdd(b, b, Vector512.Load(square)))
            + Simd.MultiplyAdd(c, c, d * d)).Store(square);

    /// <summary>Turns the sums of eight columns into moments; false if one is not finite.</summary>
    public static bool Store(double* center, double* sum, double* square, int rows, Moments result)
    {
        Vector512<double> count = Vector512.Create((double)rows), sums = Vector512.Load(sum);
        Vector512<double> shift = sums / count, squares = Vector512.Load(square);
        Vector512<double> mean = Vector512.Load(center), meanRest = default;
        MomentsMerge.Add(ref mean, ref meanRest, shift);
        count.Store(result.Count);
        mean.Store(result.Mean);
        meanRest.Store(result.MeanRest);
        Vector512<double>.Zero.Store(result.M2Rest);
        Vector512.Max(squares - sums * shift, Vector512<double>.Zero).Store(result.M2);
        return Simd.AreFinite(squares);
    }
}

/// <summary><c>Σ dy</c> and <c>Σ dy·(x − mean)</c> of each column, in double, in chunk space.</summary>
readonly unsafe struct ColumnGradients<T>(ColumnPlan plan, T* x, T* dy, double* means, double* memory) : IShardJob
    where T : unmanaged
{
    /// <summary>The first sums of a shard; the second ones follow them.</summary>
    public double* Shard(int shard) => memory + 2 * (nint)plan.Padded * shard;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(int index)
    {
        ColumnPlan.Item item = plan.ItemAt(index);
        nint stride = plan.Width;
        double* first = Shard(item.Shard), second = first + plan.Padded;
        for (int row = 0; row < item.Rows; row += 4)
        {
            int rows = Math.Min(4, item.Rows - row);
            nint start = (item.FirstRow + (nint)row) * stride;
            for (int chunk = item.FirstChunk; chunk < item.FirstChunk + item.Chunks; chunk++)
            {
                int to = chunk * Simd.Chunk;
                T* values = x + start + plan.FirstColumn(chunk), gradients = dy + start + plan.FirstColumn(chunk);
                Vector512<double> mean0 = Vector512.Load(means + to), mean1 = Vector512.Load(means + to + 8);
                Vector512<double> sum0 = default, sum1 = default, product0 = default, product1 = default;
                for (int r = 0; r < rows; r++, values += stride, gradients += stride)
                {
                    Simd.LoadChunk(values, out var x0, out var x1);
                    Simd.LoadChunk(gradients, out var g0, out var g1);
                    sum0 += g0;
                    sum1 += g1;
                    product0 = Simd.MultiplyAdd(g0, x0 - mean0, product0);
                    product1 = Simd.MultiplyAdd(g1, x1 - mean1, product1);
                }
                Add(first + to, sum0, sum1);
                Add(second + to, product0, product1);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(double* target, Vector512<double> lower, Vector512<double> upper)
    {
        (Vector512.Load(target) + lower).Store(target);
        (Vector512.Load(target + 8) + upper).Store(target + 8);
    }
}
