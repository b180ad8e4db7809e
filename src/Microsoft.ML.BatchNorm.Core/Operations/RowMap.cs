using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// An <see cref="AffineMap"/> over rows of one layout that come one at a time. What is the same for all of them is made
/// once, so that a row of a few features costs its arithmetic and not its preparation. The bits are those of
/// <see cref="AffineMap.Apply(ChannelLayout, ReadOnlySpan{float}, Span{float}, int)"/>. Immutable, and safe from any
/// number of threads.
/// </summary>
sealed unsafe class RowMap<T> where T : unmanaged
{
    readonly AffineMap map;
    readonly T[] parameters;
    readonly nint stride, period;

    /// <summary>The parameters once more for short rows, where no load of them straddles two cache lines.</summary>
    readonly T[] aligned = [];
    readonly nuint alignedStart;
    readonly bool isWhole, isFlat, isShort;

    /// <param name="map">The map, of as many channels as the layout.</param>
    /// <param name="layout">One row.</param>
    /// <param name="parameters">The map's parameters for the layout, or null where only the map itself will do.</param>
    public RowMap(AffineMap map, ChannelLayout layout, ChannelParameters<T>? parameters)
    {
        (this.map, Layout) = (map, layout);
        this.parameters = parameters?.Values ?? [];
        stride = parameters?.Stride ?? 0;
        period = parameters?.Period ?? 0;
        Length = layout.Count;
        IgnoresNonFinite = map.IgnoresNonFinite;
        isFlat = BatchMoments.IsColumns(layout);
        isWhole = parameters is not null && Length <= ShardJob.ItemElements;
        isShort = isWhole && isFlat && Length >= Vector512<T>.Count && Length <= period;
        if (isShort)
            (aligned, alignedStart) = Aligned(parameters!.Values);
    }

    /// <summary>One row.</summary>
    public ChannelLayout Layout { get; }

    /// <summary>The number of values in a row.</summary>
    public int Length { get; }

    /// <summary>Whether values that are not finite pass through unchanged.</summary>
    public bool IgnoresNonFinite { get; }

    /// <summary>Maps one row; false where a value was not finite, which is then for the caller to tell.</summary>
    /// <param name="x"><see cref="Length"/> values.</param>
    /// <param name="y">As many; the same memory, or apart from it.</param>
    // Compiled in full at once: what the first calls are like says nothing about those after them.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool Apply(ReadOnlySpan<T> x, Span<T> y)
    {
        if (x.Length != Length || y.Length != Length)
            ThrowLength(x.Length, y.Length);
        return isShort
            ? RowKernel.Map(
                ref MemoryMarshal.GetReference(x), ref MemoryMarshal.GetReference(y), (nuint)Length,
                ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(aligned), alignedStart), (nuint)stride, IgnoresNonFinite)
            : ApplyAny(x, y);
    }

    // Apart from the path of short rows, which would pay for these locals.
    [MethodImpl(MethodImplOptions.NoInlining)]
    bool ApplyAny(ReadOnlySpan<T> x, Span<T> y)
    {
        if (!isWhole)
            return map.ApplyUnchecked(Layout, x, y, threads: 1);
        fixed (T* source = x, target = y, center = parameters)
        {
            return isFlat
                ? AffineKernel<T>.Flat(source, target, Length, center, stride, period, IgnoresNonFinite, streaming: false)
                : Runs(source, target, center);
        }
    }

    static (T[] Copy, nuint Start) Aligned(T[] values)
    {
        const int line = 64;
        T[] copy = GC.AllocateUninitializedArray<T>(values.Length + line / sizeof(T), pinned: true);
        nuint address = (nuint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(copy));
        int start = (int)((line - address % line) % line) / sizeof(T);
        values.CopyTo(copy, start);
        return (copy, (nuint)start);
    }

    void ThrowLength(int x, int y) =>
        throw new ArgumentException($"A row has {Length} values, but {x} were given for {y}.", nameof(x));

    bool Runs(T* source, T* target, T* center)
    {
        bool finite = true;
        nint inner = Layout.Inner;
        for (int channel = 0, run = 0; run < Length; run += Layout.Inner)
        {
            finite &= AffineKernel<T>.OneRun(
                source + run, target + run, inner, center + channel, stride, IgnoresNonFinite, streaming: false);
            channel = channel + 1 == Layout.Channels ? 0 : channel + 1;
        }
        return finite;
    }
}
