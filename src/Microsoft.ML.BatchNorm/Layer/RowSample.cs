using System.Buffers;
using System.Numerics;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>
/// A sample of a cursor's rows, spread evenly over all of them, however many there turn out to be. It takes one row per
/// stride. When it is full, it drops every other row and doubles the stride.
/// </summary>
/// <remarks>
/// Keeping and comparing a row costs as much as normalizing some ten rows. As long as there are few rows, a small sample
/// is enough. From <see cref="WideStride"/> on the sample's share of the time hardly shows, and there is room for more.
/// </remarks>
/// <param name="column">The layer that normalizes the rows.</param>
/// <param name="input">Its column.</param>
/// <param name="layout">The layout of one row.</param>
/// <param name="stride">The first stride (<see cref="FirstStride"/>).</param>
abstract class RowSample(
    BatchNormalizationColumn column, DataViewSchema.Column input, ChannelLayout layout, int stride)
{
    const int LeastStride = 4, WideStride = 512, MostStride = 1 << 30;

    /// <summary>
    /// Even numbers: the most rows that are kept below the wide stride and from there on, and the least such bound for
    /// long rows.
    /// </summary>
    protected const int FewRows = 64, MostRows = 256, LeastRows = 16;

    /// <summary>The most values, unless <see cref="LeastRows"/> rows have more.</summary>
    const int MostValues = 1 << 15;

    public BatchNormalizationColumn Column => column;

    /// <summary>The names of the channels, or null.</summary>
    public string[]? Names => RowLayout.ChannelNames(input, layout);

    /// <summary>The number of rows that are kept.</summary>
    public abstract int Rows { get; }

    /// <summary>The number of rows that they were taken from, to within a stride.</summary>
    public long RowsSeen => (long)Rows * Stride;

    /// <summary>One row in this many is taken.</summary>
    protected int Stride { get; private set; } = stride;

    protected ChannelLayout Layout => layout;

    /// <summary>The most rows that are kept at once.</summary>
    protected int Room => RoomOf(Stride < WideStride ? FewRows : MostRows, layout.Count);

    /// <summary>A stride that fills the sample, if the number of rows is known.</summary>
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

    /// <summary>Drops the rows and returns their memory to the pool.</summary>
    public abstract void Release();

    protected void Widen() => Stride = Math.Min(2 * Stride, MostStride);

    static int RoomOf(int most, int length) =>
        Math.Min(Math.Clamp(MostValues / length / 2 * 2, LeastRows, most), Array.MaxLength / length);

    static void Add(DriftStatistics statistics, ChannelLayout rows, ReadOnlySpan<float> x) =>
        statistics.Add(rows, x, NonFinite.Ignore);

    static void Add(DriftStatistics statistics, ChannelLayout rows, ReadOnlySpan<double> x) =>
        statistics.Add(rows, x, NonFinite.Ignore);
}

/// <summary>A <see cref="RowSample"/> of one type of values.</summary>
sealed class RowSample<T>(
    BatchNormalizationColumn column, DataViewSchema.Column input, ChannelLayout layout, int stride,
    ValueGetter<bool>? mask, RowSample<T>.Adding add)
    : RowSample(column, input, layout, stride)
    where T : unmanaged
{
    /// <summary>How many values are added at once, so that they fit in a cache; at least one row.</summary>
    const int ValuesAtOnce = 1 << 13;

    T[] kept = [];
    int rows;

    public delegate void Adding(DriftStatistics statistics, ChannelLayout layout, ReadOnlySpan<T> x);

    public override int Rows => rows;

    /// <summary>Takes a row, and returns the number of rows until it takes the next.</summary>
    /// <remarks>It skips a row of another length, which is an error when the row is normalized.</remarks>
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
