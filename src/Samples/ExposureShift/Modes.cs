using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>The layer in training mode and in inference mode.</summary>
static class Modes
{
    public const int BatchSize = 32;

    /// <summary>The state after each epoch of training, without end. Each epoch shuffles the rows anew.</summary>
    public static IEnumerable<BatchNormalizationState> TrainingEpochs(
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

    /// <summary>The outputs in inference mode, one per pixel.</summary>
    public static float[] Infer(BatchNormalizationOptions options, BatchNormalizationState state, Digits data)
    {
        float[] outputs = new float[data.Pixels.Length];
        new AffineMap(options, state).Apply(data.Layout, data.Pixels, outputs);
        return outputs;
    }
}
