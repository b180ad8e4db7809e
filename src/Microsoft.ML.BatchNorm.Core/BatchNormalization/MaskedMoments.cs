using System.Buffers;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Statistics under a mask: the kept positions are gathered, a piece at a time, into a dense array of the same
/// channels, which is then added as if there were no mask.
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
                    if (!BatchMoments.Add(dense, piece, threads, ignoreNonFinite, target))
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
