using System.Buffers;
using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Rows of a cursor, evenly spread over all that it gives, however many these turn out to be: one in a stride; where
/// there is no room for more, every other one goes, and from there on half as many are taken.
/// </summary>
/// <remarks>
/// A row that is kept and compared costs as much as some ten that are normalized. Few will do while rows are few;
/// one in <see cref="WideStride"/> is a part of the time that hardly shows, and from there on there is room for more.
/// </remarks>
/// <param name="column">The layer that normalizes the rows.</param>
/// <param name="input">Its column.</param>
/// <param name="layout">One row.</param>
/// <param name="stride">One row in as many is taken at first, by <see cref="FirstStride"/>.</param>
abstract class RowSample(
    BatchNormalizationColumn column, DataViewSchema.Column input, ChannelLayout layout, int stride)
{
    const int LeastStride = 4, WideStride = 512, MostStride = 1 << 30;

    /// <summary>
    /// The most rows that are kept, even numbers: up to the wide stride, from there on, and at the least.
    /// </summary>
    protected const int FewRows = 64, MostRows = 256, LeastRows = 16;

    /// <summary>The most values, unless they are of the least rows.</summary>
    const int MostValues = 1 << 15;

    public BatchNormalizationColumn Column => column;

    /// <summary>The names of the channels, where they have some.</summary>
    public string[]? Names => ChannelNames.Of(input, layout);

    /// <summary>The number of rows that are kept.</summary>
    public abstract int Rows { get; }

    /// <summary>The number of rows that they stand for, to within a stride.</summary>
    public long RowsSeen => (long)Rows * Stride;

    /// <summary>One row in as many is taken.</summary>
    protected int Stride { get; private set; } = stride;

    protected ChannelLayout Layout => layout;

    /// <summary>The most rows that are kept at once.</summary>
    protected int Room => RoomOf(Stride < WideStride ? FewRows : MostRows, layout.Count);

    /// <summary>A stride that gives as many rows as there is room for, where their number is known.</summary>
    /// <param name="rows">The number of rows, or null.</param>
    /// <param name="length">The number of values in a row.</param>
    public static int FirstStride(long? rows, int length)
    {
        ulong count = (ulong)(rows ?? 0);
        return (int)Math.Clamp(
            Math.Max(Math.Min(For(FewRows), WideStride), For(MostRows)), LeastStride, MostStride);

        ulong For(int most)
        {
            ulong room = (ulong)RoomOf(most, length);
            return BitOperations.RoundUpToPowerOf2((count + room - 1) / room);
        }
    }

    public static RowSample Of(
        DataViewSchema.Column input, BatchNormalizationColumn column, ChannelLayout layout, int stride,
        ValueGetter<bool>? mask) =>
        input.Type.GetItemType() == NumberDataViewType.Single
            ? new RowSample<float>(column, input, layout, stride, mask, Add)
            : new RowSample<double>(column, input, layout, stride, mask, Add);

    /// <summary>Adds the rows to statistics.</summary>
    public abstract void AddTo(DriftStatistics statistics);

    /// <summary>Drops the rows, and gives their memory back to others.</summary>
    public abstract void Release();

    protected void Widen() => Stride = Math.Min(2 * Stride, MostStride);

    static int RoomOf(int most, int length) =>
        Math.Min(Math.Clamp(MostValues / length / 2 * 2, LeastRows, most), Array.MaxLength / length);

    static void Add(DriftStatistics statistics, ChannelLayout rows, ReadOnlySpan<float> x) =>
        statistics.Add(rows, x, NonFinite.Ignore);

    static void Add(DriftStatistics statistics, ChannelLayout rows, ReadOnlySpan<double> x) =>
        statistics.Add(rows, x, NonFinite.Ignore);
}

/// <summary>The same, of one type of values.</summary>
sealed class RowSample<T>(
    BatchNormalizationColumn column, DataViewSchema.Column input, ChannelLayout layout, int stride,
    ValueGetter<bool>? mask, RowSample<T>.Adding add)
    : RowSample(column, input, layout, stride)
    where T : unmanaged
{
    /// <summary>The values that are added at once, which the caches have room for, unless a row has more.</summary>
    const int ValuesAtOnce = 1 << 13;

    T[] kept = [];
    int rows;

    public delegate void Adding(DriftStatistics statistics, ChannelLayout layout, ReadOnlySpan<T> x);

    public override int Rows => rows;

    /// <summary>Takes a row, and gives the number of rows up to the next that it wants.</summary>
    /// <remarks>One of another length is left to whoever normalizes it, for whom it is an error.</remarks>
    public int Take(in VBuffer<T> row)
    {
        if (row.Length == Layout.Count && Counts())
            row.CopyTo(NextRow());
        return Stride;
    }

    /// <inheritdoc cref="Take(in VBuffer{T})"/>
    public int Take(T value)
    {
        if (Counts())
            NextRow()[0] = value;
        return Stride;
    }

    public override void AddTo(DriftStatistics statistics)
    {
        int most = Math.Max(1, ValuesAtOnce / Layout.Count);
        for (int first = 0; first < rows; first += most)
        {
            int count = Math.Min(most, rows - first);
            add(statistics, Layout.WithRows(count), At(first, count));
        }
    }

    public override void Release()
    {
        if (kept.Length > 0)
            ArrayPool<T>.Shared.Return(kept);
        (kept, rows) = ([], 0);
    }

    bool Counts()
    {
        bool counts = true;
        mask?.Invoke(ref counts);
        return counts;
    }

    Span<T> NextRow()
    {
        if (rows == Room)
            Thin();
        if (kept.Length < (rows + 1) * Layout.Count)
            Grow();
        return At(rows++, 1);
    }

    void Grow()
    {
        T[] more = ArrayPool<T>.Shared.Rent(Math.Min(Math.Max(2 * rows, LeastRows), Room) * Layout.Count);
        At(0, rows).CopyTo(more);
        if (kept.Length > 0)
            ArrayPool<T>.Shared.Return(kept);
        kept = more;
    }

    void Thin()
    {
        rows /= 2;
        for (int row = 1; row < rows; row++)
            At(2 * row, 1).CopyTo(At(row, 1));
        Widen();
    }

    Span<T> At(int row, int count) => kept.AsSpan(row * Layout.Count, count * Layout.Count);
}
