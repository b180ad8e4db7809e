namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// How an array is cut where each element is mapped by itself: flat, with parameters that repeat from row to row, or
/// by runs, each of one channel.
/// </summary>
readonly struct ElementPlan(ChannelLayout layout)
{
    readonly int count = layout.Count, inner = layout.Inner, channels = layout.Channels;

    public bool IsFlat { get; } = BatchMoments.IsColumns(layout);

    public int Inner => inner;

    int ItemLength => IsFlat ? ShardJob.ItemElements : Math.Max(1, ShardJob.ItemElements / inner) * inner;

    public int Items => (int)(((long)count + ItemLength - 1) / ItemLength);

    public nint Start(int item) => (nint)item * ItemLength;

    public nint Length(int item) => nint.Min(ItemLength, count - Start(item));

    public int ChannelAt(nint start) => (int)(start / inner % channels);

    public int NextChannel(int channel) => channel + 1 == channels ? 0 : channel + 1;
}
