using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>Lets a layer see data in training mode.</summary>
static class Training
{
    public const int BatchSize = 32;

    /// <summary>The state after each epoch, for as many as are asked for; rows are shuffled anew in each.</summary>
    public static IEnumerable<BatchNormalizationState> Epochs(
        BatchNormalizationOptions options, BatchNormalizationState state, Digits data, Random random,
        RowProgress? progress = null)
    {
        int[] order = [.. Enumerable.Range(0, data.Rows)];
        while (true)
        {
            random.Shuffle(order);
            foreach (int[] rows in order.Chunk(BatchSize))
            {
                Digits batch = data.Take(rows);
                state = BatchNormalization.UpdateMovingStatistics(options, state, batch.Layout, batch.Pixels);
                progress?.Add(batch.Rows);
            }
            yield return state;
        }
    }
}
