namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>The statistics of a million rows, of which a rank has every n-th.</summary>
static class RankStatistics
{
    const int Rows = 1_000_000, Channels = 8, Batch = 8192;

    public static readonly BatchNormalizationOptions Options =
        new() { MovingStatistics = MovingStatistics.Population, Epsilon = 0 };

    public static BatchNormalizationState Of(ICollective? ranks)
    {
        using IStatisticsFit fit = new CpuEngine(1, ranks).StartFit(
            Options, BatchNormalization.Initialize(Options, Channels));
        int step = ranks?.Size ?? 1, row = ranks?.Rank ?? 0;
        float[] values = new float[Batch * Channels];
        while (row < Rows)
        {
            int count = Math.Min(Batch, (Rows - 1 - row) / step + 1);
            for (int i = 0; i < count; i++, row += step)
                Fill(row, values.AsSpan(i * Channels, Channels));
            fit.Add(new ChannelLayout([count, Channels], 1), values.AsSpan(0, count * Channels));
        }
        return fit.Complete();
    }

    static void Fill(int row, Span<float> values)
    {
        for (int c = 0; c < values.Length; c++)
            values[c] = 100 * c + unchecked((uint)(row * Channels + c) * 2654435761u) * 1e-9f;
    }
}
