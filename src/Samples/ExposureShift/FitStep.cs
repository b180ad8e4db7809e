using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>Fits the layer, and compares its moving statistics with exact ones.</summary>
static class FitStep
{
    const int Epochs = 20;

    public static BatchNormalizationState Run(BatchNormalizationOptions options, Digits train, Random random)
    {
        Show.Heading(
            1, "Fit",
            $"In training mode the layer sees batches of {Modes.BatchSize} rows, and its moving statistics follow " +
            $"them with momentum {options.Momentum}. Mean / deviation, in pixel units:");
        BatchNormalizationState fresh = BatchNormalization.Initialize(options, Digits.PixelCount);
        BatchNormalizationState[] exponential =
            Show.Progress(
                $"{Epochs} epochs", (long)Epochs * train.Rows,
                progress => Modes.TrainingEpochs(options, fresh, train, random, progress).Take(Epochs).ToArray());
        BatchNormalizationOptions merging = options with { MovingStatistics = MovingStatistics.Population };
        BatchNormalizationState population = Modes.TrainingEpochs(merging, fresh, train, random).First();

        BatchStatistics exact = Pixels.Statistics(train.Pixels);
        BatchNormalizationState[] states = [exponential[0], exponential[^1], population];
        Show.Table(
            ["pixel", "all rows", "1 epoch", $"{Epochs} epochs", "Population"],
            [
                .. Pixels.Shown.Select(pixel => Row(
                    pixel.Name, Pixels.Cell(exact, pixel.Index), states,
                    state => Pixels.Cell(state.MovingMean[pixel.Index], state.MovingVariance[pixel.Index]))),
                Row("largest error *", "", states, state => Error(LargestError(state, exact))),
                Row("InitialWeight **", "", states, state => $"{state.InitialWeight:0.00 %}"),
            ]);
        Show.Text("  * of a mean, in deviations of its pixel   ** share of the start values 0 and 1");
        Show.Text(
            "One epoch is too short for this momentum: the start values still have more than half of the weight. " +
            $"After {Epochs} epochs, what is left is the noise of a moving average. MovingStatistics.Population is " +
            "exact after one epoch.");
        return exponential[^1];
    }

    static string[] Row(
        string name, string exact, BatchNormalizationState[] states, Func<BatchNormalizationState, string> cell) =>
        [name, exact, .. states.Select(cell)];

    static string Error(double value) => value < 1e-9 ? "under 1e-9" : $"{value:0.0000}";

    /// <summary>The greatest distance of a moving mean from the exact one, in deviations of the pixel.</summary>
    static double LargestError(BatchNormalizationState state, BatchStatistics exact) =>
        Pixels.All.Where(pixel => exact.M2[pixel] > 0).Max(
            pixel => Math.Abs(state.MovingMean[pixel] - exact.Mean[pixel]) / Math.Sqrt(exact.Variance(pixel)));
}
