namespace Microsoft.ML.BatchNorm.TorchSharp.Statistics;

/// <summary>A tensor as its channel layout sees it.</summary>
static class TensorLayout
{
    /// <summary>Outer × channels × inner.</summary>
    public static Tensor Of(Tensor x, ChannelLayout layout) => x.reshape(layout.Outer, layout.Channels, layout.Inner);

    /// <summary>
    /// Outer × channels × inner of the rows of one group: those whose number leaves <paramref name="group"/> over when
    /// it is divided by the number of <paramref name="groups"/>.
    /// </summary>
    /// <param name="x">Outer × channels × inner of all rows.</param>
    /// <param name="layout">Its layout.</param>
    /// <param name="group">The group.</param>
    /// <param name="groups">How many there are.</param>
    public static Tensor Group(Tensor x, ChannelLayout layout, int group, int groups)
    {
        if (groups == 1)
            return x;
        Tensor rows = x.reshape(layout.Rows, -1).slice(0, group, layout.Rows, groups);
        ChannelLayout own = new RowGroups(layout, groups).Layout(group);
        return rows.reshape(own.Outer, own.Channels, own.Inner);
    }
}
