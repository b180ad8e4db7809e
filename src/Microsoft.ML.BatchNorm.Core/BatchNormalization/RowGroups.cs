namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The groups of rows that share statistics: one of the whole batch, or with a virtual batch size
/// <c>g = ⌈rows / size⌉</c> of them, where row <c>i</c> is in group <c>i mod g</c>. With a size of 2 and an odd number
/// of rows, one row would be alone; then there is one group less, and one group has three rows.
/// </summary>
readonly struct RowGroups
{
    readonly ChannelLayout layout;

    public RowGroups(ChannelLayout layout, int count) => (this.layout, Count) = (layout, count);

    public static RowGroups OfSize(ChannelLayout layout, int? virtualBatchSize) =>
        new(layout, CountOf(layout.Rows, virtualBatchSize));

    public static int CountOf(int rows, int? virtualBatchSize) => virtualBatchSize switch
    {
        null => 1,
        2 => Math.Max(1, rows / 2),
        { } size => (int)(((long)rows + size - 1) / size),
    };

    public int Count { get; }

    public ChannelLayout Layout(int group) => layout.WithRows((layout.Rows - group + Count - 1) / Count);

    /// <summary>
    /// Copies the rows of a group, one after the other, from an array of as many values for each row.
    /// </summary>
    public T[] Gather<T>(ReadOnlySpan<T> source, int group)
    {
        int length = source.Length / layout.Rows;
        var rows = new T[Layout(group).Rows * length];
        for (int to = 0, row = group; row < layout.Rows; row += Count, to++)
            source.Slice(row * length, length).CopyTo(rows.AsSpan(to * length));
        return rows;
    }

    public void Scatter<T>(ReadOnlySpan<T> rows, Span<T> target, int group)
    {
        int length = target.Length / layout.Rows;
        for (int from = 0, row = group; row < layout.Rows; row += Count, from++)
            rows.Slice(from * length, length).CopyTo(target.Slice(row * length, length));
    }
}
