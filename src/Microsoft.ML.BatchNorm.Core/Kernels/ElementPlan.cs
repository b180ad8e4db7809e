namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// How an array is cut where each element is mapped by itself: flat, with parameters that repeat from row to row, or
/// by runs, each of one channel.
/// </summary>
/// <param name="layout">The array's layout.</param>
/// <param name="period">The period of the parameters in a flat array.</param>
readonly struct ElementPlan(ChannelLayout layout, int period)
{
    readonly int count = layout.Count, inner = layout.Inner, channels = layout.Channels;

    public bool IsFlat { get; } = BatchMoments.IsColumns(layout);

    public int Inner => inner;

    public int Period => period;

    /// <summary>Whole periods or whole runs, so that an item starts where its parameters do.</summary>
    int ItemLength
    {
        get
        {
            int unit = IsFlat ? period : inner;
            return Math.Max(1, ShardJob.ItemElements / unit) * unit;
        }
    }

    public int Items => (int)(((long)count + ItemLength - 1) / ItemLength);

    public nint Start(int item) => (nint)item * ItemLength;

    public nint Length(int item) => nint.Min(ItemLength, count - Start(item));

    public int ChannelAt(nint start) => (int)(start / inner % channels);

    public int NextChannel(int channel) => channel + 1 == channels ? 0 : channel + 1;
}
