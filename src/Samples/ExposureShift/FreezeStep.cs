using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>Shows that a frozen layer does not change, even in calls that ask for training.</summary>
static class FreezeStep
{
    public static void Run(BatchNormalizationOptions options, BatchNormalizationState fitted, Digits train)
    {
        Show.Heading(
            4, "Frozen stays frozen",
            "With Trainable = false, calls that ask for training run in inference mode, and no bit of the state " +
            $"changes. After an epoch of {Batches(train).Count()} such calls:");
        BatchNormalizationOptions frozen = options with { Trainable = false };
        Show.Table(
            ["layer", "in training mode", "values changed", "every bit the same"],
            Row("Trainable = false", frozen, fitted, train),
            Row("Trainable = true", options, fitted, train));
    }

    static string[] Row(string name, BatchNormalizationOptions options, BatchNormalizationState fitted, Digits train)
    {
        BatchNormalizationState state = fitted;
        int inTrainingMode = 0;
        foreach (int[] rows in Batches(train))
        {
            Digits batch = train.Take(rows);
            float[] outputs = new float[batch.Pixels.Length];
            ForwardPass pass = BatchNormalization.Forward(
                options, state, batch.Layout, batch.Pixels, outputs, training: true);
            state = pass.NextState;
            inTrainingMode += pass.UsedBatchStatistics ? 1 : 0;
        }
        double[] before = Values(fitted), after = Values(state);
        int changed = before.Zip(after).Count(pair => pair.First != pair.Second);
        return [name, $"{inTrainingMode}", $"{changed} of {before.Length}", Show.YesNo(state.Equals(fitted))];
    }

    static IEnumerable<int[]> Batches(Digits data) => Enumerable.Range(0, data.Rows).Chunk(Modes.BatchSize);

    static double[] Values(BatchNormalizationState state) =>
    [
        .. state.MovingMean, .. state.MovingVariance,
        .. state.Gamma.ToArray().Select(value => (double)value), .. state.Beta.ToArray().Select(value => (double)value),
    ];
}
