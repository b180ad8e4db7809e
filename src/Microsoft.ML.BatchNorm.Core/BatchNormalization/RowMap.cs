using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// An <see cref="AffineMap"/> over single rows of one layout. What all rows have in common is prepared once, so that a
/// row of a few features costs its arithmetic alone. The bits are those of
/// <see cref="AffineMap.Apply(ChannelLayout, ReadOnlySpan{float}, Span{float}, int)"/>. Immutable, and safe from any
/// number of threads.
/// </summary>
sealed unsafe class RowMap<T> where T : unmanaged
{
    readonly AffineMap map;
    readonly Kernel kernel;
    readonly T[] parameters;
    readonly nint stride, period;

    /// <summary>A copy of the parameters for short rows, where no load of them spans two cache lines.</summary>
    readonly T[] aligned = [];
    readonly nuint alignedStart;

    /// <param name="map">The map, which has as many channels as the layout.</param>
    /// <param name="layout">One row.</param>
    /// <param name="parameters">The map's parameters for the layout, or null if floats do not suffice.</param>
    public RowMap(AffineMap map, ChannelLayout layout, ChannelParameters<T>? parameters)
    {
        (this.map, Layout) = (map, layout);
        this.parameters = parameters?.Values ?? [];
        stride = parameters?.Stride ?? 0;
        period = parameters?.Period ?? 0;
        Length = layout.Count;
        IgnoresNonFinite = map.IgnoresNonFinite;
        kernel = Choose();
        if (kernel is Kernel.Whole or Kernel.Overlapping)
            (aligned, alignedStart) = Aligned(this.parameters);
        else if (kernel == Kernel.Pieces)
            (aligned, alignedStart) = Aligned(Pieces());
    }

    /// <summary>How to map a row; the first three are methods of <see cref="RowKernel"/>.</summary>
    enum Kernel { Whole, Overlapping, Pieces, Flat, Runs, Map }

    /// <summary>One row.</summary>
    public ChannelLayout Layout { get; }

    /// <summary>The number of values in a row.</summary>
    public int Length { get; }

    /// <summary>Whether values that are not finite pass through unchanged.</summary>
    public bool IgnoresNonFinite { get; }

    /// <summary>Maps one row; false if a value is not finite, which the caller then reports.</summary>
    /// <param name="x"><see cref="Length"/> values.</param>
    /// <param name="y">As many values; the same memory, or memory that does not overlap.</param>
    // Inlined into the caller's loop, so that many short rows cost no call.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Apply(ReadOnlySpan<T> x, Span<T> y)
    {
        if (x.Length != Length || y.Length != Length)
            ThrowLength(x.Length, y.Length);
        return kernel == Kernel.Whole
            ? RowKernel.Whole(
                ref MemoryMarshal.GetReference(x), ref MemoryMarshal.GetReference(y), (nuint)Length,
                ref First, (nuint)stride)
            : ApplyOther(x, y);
    }

    ref T First => ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(aligned), alignedStart);

    // Optimized at once: the first calls tell nothing about those after them.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    bool ApplyOther(ReadOnlySpan<T> x, Span<T> y) => kernel switch
    {
        Kernel.Pieces => RowKernel.Pieces(
            ref MemoryMarshal.GetReference(x), ref MemoryMarshal.GetReference(y), (nuint)Length,
            ref First, IgnoresNonFinite),
        Kernel.Overlapping => RowKernel.Overlapping(
            ref MemoryMarshal.GetReference(x), ref MemoryMarshal.GetReference(y), (nuint)Length,
            ref First, (nuint)stride, IgnoresNonFinite),
        _ => ApplyLong(x, y),
    };

    // Not inlined: the path of short rows would pay for these locals.
    [MethodImpl(MethodImplOptions.NoInlining)]
    bool ApplyLong(ReadOnlySpan<T> x, Span<T> y)
    {
        if (kernel == Kernel.Map)
            return map.ApplyUnchecked(Layout, x, y, threads: 1);
        fixed (T* source = x, target = y, center = parameters)
        {
            return kernel == Kernel.Flat
                ? AffineKernel<T>.Flat(
                    source, target, Length, center, stride, period, IgnoresNonFinite, streaming: false)
                : Runs(source, target, center);
        }
    }

    Kernel Choose()
    {
        int vector = Vector512<T>.Count;
        if (parameters.Length == 0 || Length > ShardJob.ItemElements)
            return Kernel.Map;
        if (!Layout.IsColumns)
            return Kernel.Runs;
        if (Length < Vector128<T>.Count || Length > period)
            return Kernel.Flat;
        return Length % vector == 0 && Length <= RowKernel.MostWhole * vector && !IgnoresNonFinite ? Kernel.Whole
            : Length >= vector ? Kernel.Overlapping
            : Kernel.Pieces;
    }

    /// <summary>The parameters of a row shorter than a vector, in the quarters in which it is read.</summary>
    T[] Pieces()
    {
        int vector = Vector512<T>.Count, quarter = Vector128<T>.Count;
        (nuint second, nuint third, nuint fourth) = RowKernel.PieceOffsets<T>((nuint)Length);
        var pieces = new T[3 * vector];
        for (int p = 0; p < 3; p++)
        {
            int piece = 0;
            foreach (nuint offset in (ReadOnlySpan<nuint>)[0, second, third, fourth])
                Array.Copy(parameters, p * stride + (nint)offset, pieces, p * vector + quarter * piece++, quarter);
        }
        return pieces;
    }

    static (T[] Copy, nuint Start) Aligned(T[] values)
    {
        var memory = new AlignedMemory<T>(values.Length);
        values.CopyTo(memory.Span);
        return (memory.Array, (nuint)memory.Offset);
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
