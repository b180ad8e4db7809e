namespace Microsoft.ML.BatchNorm.TorchSharp.Training;

/// <summary>How many rows go through a network at a time where no step depends on it.</summary>
static class ChunkRows
{
    /// <summary>Values in the widest layer of a chunk.</summary>
    const int Values = 1 << 24;

    public static int Of(Network network, int rows)
    {
        // A layer without moving statistics takes those of the rows that it is given.
        bool isWhole = network.Nodes.Any(
            node => node.Layer is BatchNormalizationLayer layer
                && layer.EffectiveOptions.UsesBatchStatistics(training: false));
        int widest = network.Nodes.Select(node => node.Output.Size).Append(network.InputShape.Size).Max();
        return isWhole ? Math.Max(1, rows) : Math.Clamp(Values / widest, 1, Math.Max(1, rows));
    }
}
