using System.Buffers;

namespace Microsoft.ML.BatchNorm;

/// <summary>Adds the moments of an array to those of its channels, by the kernel that fits the layout.</summary>
static unsafe class ArrayMoments
{
    /// <summary>Adds all positions; false if a sum is not finite and such values are not ignored.</summary>
    public static bool Add<T>(ChannelLayout layout, T* data, int threads, bool ignoreNonFinite, Moments target)
        where T : unmanaged =>
        layout.IsColumns
            ? AddColumns(layout, data, threads, ignoreNonFinite, target)
            : AddRuns(layout, data, threads, ignoreNonFinite, target);

    static bool AddColumns<T>(ChannelLayout layout, T* data, int threads, bool ignoreNonFinite, Moments target)
        where T : unmanaged
    {
        int columns = layout.Channels * layout.Inner;
        var plan = new ColumnPlan(layout.Outer, columns);
        double[]? folded = null;
        double[] memory = ArrayPool<double>.Shared.Rent(Math.Max(1, Moments.Arrays * plan.Padded * plan.Shards));
        try
        {
            if (layout.Inner > 1)
            {
                folded = ArrayPool<double>.Shared.Rent(Moments.Arrays * columns);
                Array.Clear(folded, 0, Moments.Arrays * columns);
            }
            fixed (double* shards = memory, columnMemory = folded)
            {
                Moments byColumn = layout.Inner > 1 ? Moments.In(columnMemory, columns) : target;
                int failed = 0;
                var job = new ColumnMoments<T>(plan, data, shards, &failed, ignoreNonFinite);
                ShardJob.Run(job, plan.Items, threads);
                if (failed != 0)
                    return false;
                for (int shard = 0; shard < plan.Shards; shard++)
                    MergePacked(plan, job.Shard(shard), byColumn);

                T* rest = data + (nint)plan.Rows * plan.Width;
                for (int column = 0; plan.LeftOver > 0 && column < columns; column++)
                {
                    if (!ScalarMoments.Merge(
                            rest + column, plan.LeftOver, columns, byColumn.At(column), ignoreNonFinite)
                        && !ignoreNonFinite)
                        return false;
                }
                for (int column = 0; layout.Inner > 1 && column < columns; column++)
                    MomentsMerge.Into(target.At(column / layout.Inner), byColumn.At(column), 1);
                return true;
            }
        }
        finally
        {
            ArrayPool<double>.Shared.Return(memory);
            if (folded is not null)
                ArrayPool<double>.Shared.Return(folded);
        }
    }

    /// <summary>Merges the columns of a packed row, in chunk space, into those of the array.</summary>
    static void MergePacked(ColumnPlan plan, Moments shard, Moments byColumn)
    {
        int whole = plan.Width / Simd.Chunk * Simd.Chunk, tail = plan.Width - whole;
        int shift = plan.Padded - plan.Width;
        for (int array = 0; array < Moments.Arrays; array++)
        {
            var values = new Span<double>(shard.Count + array * (nint)plan.Padded, plan.Padded);
            values.Slice(whole + shift, tail).CopyTo(values[whole..]);
        }
        for (int pack = 0; pack < plan.Pack; pack++)
            MomentsMerge.Into(byColumn, shard.At(pack * plan.Columns), plan.Columns);
    }

    static bool AddRuns<T>(ChannelLayout layout, T* data, int threads, bool ignoreNonFinite, Moments target)
        where T : unmanaged
    {
        var plan = new RunPlan(layout);
        int length = Moments.Arrays * plan.Channels * plan.Shards;
        double[] memory = ArrayPool<double>.Shared.Rent(length);
        try
        {
            Array.Clear(memory, 0, length);
            fixed (double* shards = memory)
            {
                int failed = 0;
                var job = new RunMoments<T>(plan, data, shards, &failed, ignoreNonFinite);
                ShardJob.Run(job, plan.Items, threads);
                for (int shard = 0; failed == 0 && shard < plan.Shards; shard++)
                    MomentsMerge.Into(target, job.Shard(shard), plan.Channels);
                return failed == 0;
            }
        }
        finally
        {
            ArrayPool<double>.Shared.Return(memory);
        }
    }
}

/// <summary>
/// Moments under a mask: the positions that it keeps are copied, piece by piece, into a dense array of the same
/// channels, which is then added without a mask.
/// </summary>
static unsafe class MaskedMoments
{
    const int PieceElements = 1 << 20;

    public static bool Add<T>(
        ChannelLayout layout, T* data, ReadOnlySpan<bool> mask, int threads, bool ignoreNonFinite, Moments target)
        where T : unmanaged
    {
        int outerElements = layout.Channels * layout.Inner;
        int pieceOuters = Math.Clamp(PieceElements / outerElements, 1, layout.Outer);
        T[] rented = ArrayPool<T>.Shared.Rent(pieceOuters * outerElements);
        try
        {
            fixed (T* piece = rented)
            {
                for (int outer = 0; outer < layout.Outer; outer += pieceOuters)
                {
                    int outers = Math.Min(pieceOuters, layout.Outer - outer);
                    ReadOnlySpan<bool> kept = mask.Slice(outer * layout.Inner, outers * layout.Inner);
                    int count = kept.Count(true);
                    if (count == 0)
                        continue;
                    T* source = data + (nint)outer * outerElements;
                    ChannelLayout dense = layout.Inner == 1
                        ? GatherRows(source, kept, layout.Channels, count, piece)
                        : GatherRuns(source, kept, layout, count, piece);
                    if (!ArrayMoments.Add(dense, piece, threads, ignoreNonFinite, target))
                        return false;
                }
            }
            return true;
        }
        finally
        {
            ArrayPool<T>.Shared.Return(rented);
        }
    }

    static ChannelLayout GatherRows<T>(T* source, ReadOnlySpan<bool> kept, int channels, int count, T* piece)
        where T : unmanaged
    {
        for (int row = 0; row < kept.Length; row++)
        {
            if (!kept[row])
                continue;
            new ReadOnlySpan<T>(source + (nint)row * channels, channels).CopyTo(new Span<T>(piece, channels));
            piece += channels;
        }
        return ChannelLayout.Features(count, channels);
    }

    static ChannelLayout GatherRuns<T>(T* source, ReadOnlySpan<bool> kept, ChannelLayout layout, int count, T* piece)
        where T : unmanaged
    {
        for (int channel = 0; channel < layout.Channels; channel++)
        {
            for (int position = 0; position < kept.Length; position++)
            {
                if (!kept[position])
                    continue;
                (int outer, int inner) = Math.DivRem(position, layout.Inner);
                *piece++ = source[((nint)outer * layout.Channels + channel) * layout.Inner + inner];
            }
        }
        return new ChannelLayout([1, layout.Channels, count], axis: 1);
    }
}
