using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>Shows the outputs of inference mode.</summary>
static class InferenceStep
{
    public static void Run(BatchNormalizationOptions options, BatchNormalizationState fitted, Digits train, Digits test)
    {
        Show.Heading(
            2, "Inference",
            "With the moving statistics, the outputs of every pixel that varies have a mean near 0 and a deviation " +
            "near 1, also on rows that the layer has not seen. Mean / deviation:");
        BatchStatistics before = Pixels.Statistics(train.Pixels);
        BatchStatistics onTrain = Pixels.Statistics(Modes.Infer(options, fitted, train));
        BatchStatistics onTest = Pixels.Statistics(Modes.Infer(options, fitted, test));
        int[] varying = [.. Pixels.All.Where(pixel => before.M2[pixel] > 0)];
        Show.Table(
            ["pixel", "pixels", "outputs", "outputs, test rows"],
            [
                .. Pixels.Shown.Select(pixel => new[]
                {
                    pixel.Name, Pixels.Cell(before, pixel.Index), Pixels.Cell(onTrain, pixel.Index),
                    Pixels.Cell(onTest, pixel.Index),
                }),
                [$"the {varying.Length} that vary", .. new[] { before, onTrain, onTest }.Select(Average)],
            ]);

        string Average(BatchStatistics statistics) => Pixels.Cell(
            varying.Average(pixel => statistics.Mean[pixel]),
            Math.Pow(varying.Average(pixel => Math.Sqrt(statistics.Variance(pixel))), 2));
    }
}
