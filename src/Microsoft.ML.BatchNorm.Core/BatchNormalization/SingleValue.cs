namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A single value per channel, where the options have the sample variance: an error wherever a batch's own statistics
/// normalize, as in PyTorch.
/// </summary>
static class SingleValue
{
    /// <param name="statistics">The batch's.</param>
    /// <param name="moves">Whether they move the moving ones.</param>
    public static void ThrowIfAny(BatchStatistics statistics, bool moves)
    {
        int channel = statistics.Count.IndexOf(1);
        if (channel >= 0)
            throw Error($"Channel {channel}", moves);
    }

    public static InvalidDataException Error(string channel, bool moves) => new(
        moves
            ? $"{channel} has 1 value; the sample variance, divided by n − 1, needs two."
            : $"{channel} has 1 value, and is normalized with its own statistics, which make β of any value. Give at "
                + "least two rows, or let the layer keep moving statistics (TrackMovingStatistics).");
}
