using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Rows of a cursor, evenly spread over all that it gives, however many these turn out to be: one in
/// <see cref="FirstStride"/>; where there is no room for more, every other one goes, and from there on half as many are
/// taken.
/// </summary>
abstract class RowSample(BatchNormalizationColumn column, ChannelLayout layout, string[]? names)
{
    public const int FirstStride = 64;

    /// <summary>Values that are kept, and what the rows are held to where they are short or long.</summary>
    const int MostValues = 1 << 18, MostRows = 512, LeastRows = 16;

    public BatchNormalizationColumn Column => column;

    public string[]? Names => names;

    public abstract int Rows { get; }

    /// <summary>The most rows that are kept at once, an even number.</summary>
    protected int Room { get; } = Math.Clamp(MostValues / layout.Count / 2 * 2, LeastRows, MostRows);

    protected ChannelLayout Layout => layout;

    public static RowSample Of(
        DataViewRow row, DataViewSchema.Column input, BatchNormalizationColumn column, ChannelLayout layout,
        ValueGetter<bool>? mask)
    {
        string[]? names = ChannelNames.Of(input, layout);
        return input.Type.GetItemType() == NumberDataViewType.Single
            ? new RowSample<float>(column, layout, names, mask, (statistics, shape, x) => statistics.Add(shape, x, NonFinite.Ignore))
            : new RowSample<double>(column, layout, names, mask, (statistics, shape, x) => statistics.Add(shape, x, NonFinite.Ignore));
    }

    /// <summary>Adds the rows to statistics.</summary>
    public abstract void AddTo(DriftStatistics statistics);
}

/// <summary>The same, of one type of values.</summary>
sealed class RowSample<T>(
    BatchNormalizationColumn column, ChannelLayout layout, string[]? names, ValueGetter<bool>? mask,
    RowSample<T>.Adding add)
    : RowSample(column, layout, names)
    where T : unmanaged
{
    T[] kept = [];
    int rows;
    int stride = FirstStride;

    public delegate void Adding(DriftStatistics statistics, ChannelLayout layout, ReadOnlySpan<T> x);

    public override int Rows => rows;

    /// <summary>Takes a row, and gives the number of rows up to the next that it wants.</summary>
    public int Take(in VBuffer<T> row)
    {
        if (!Counts())
            return stride;
        row.CopyTo(NextRow());
        return Advance();
    }

    /// <inheritdoc cref="Take(in VBuffer{T})"/>
    public int Take(T value)
    {
        if (!Counts())
            return stride;
        NextRow()[0] = value;
        return Advance();
    }

    public override void AddTo(DriftStatistics statistics) =>
        add(statistics, Layout.WithRows(rows), kept.AsSpan(0, rows * Layout.Count));

    bool Counts()
    {
        bool counts = true;
        mask?.Invoke(ref counts);
        return counts;
    }

    Span<T> NextRow()
    {
        if (rows * Layout.Count == kept.Length)
            Array.Resize(ref kept, Math.Min(Math.Max(2 * rows, LeastRoom), Room) * Layout.Count);
        return kept.AsSpan(rows * Layout.Count, Layout.Count);
    }

    int Advance()
    {
        int until = stride;
        if (++rows == Room)
        {
            for (int row = 1; 2 * row < Room; row++)
                kept.AsSpan(2 * row * Layout.Count, Layout.Count).CopyTo(kept.AsSpan(row * Layout.Count));
            rows /= 2;
            stride = Math.Min(2 * stride, 1 << 30);
        }
        return until;
    }

    const int LeastRoom = 8;
}
