using Microsoft.ML.BatchNorm;

namespace ExposureShift;

/// <summary>Changes the exposure, and compares a frozen layer with a fine-tuned one.</summary>
static class ShiftStep
{
    const float Gain = 0.5f, Haze = 3;
    const int Epochs = 20;

    public static void Run(
        BatchNormalizationOptions options, BatchNormalizationState fitted, Digits train, Digits test, Random random)
    {
        Show.Heading(
            3, "Another exposure",
            $"The same digits at half the contrast on grey paper: {Gain} * pixel + {Haze}. A frozen layer still " +
            "normalizes with the old statistics; a fine-tuned one has followed the new training rows, without " +
            "labels. Mean / deviation of the outputs on the new test rows:");
        Digits newTrain = train.Expose(Gain, Haze), newTest = test.Expose(Gain, Haze);
        BatchNormalizationState[] tuned = [.. Modes.TrainingEpochs(options, fitted, newTrain, random).Take(Epochs)];
        BatchNormalizationOptions merging = options with { MovingStatistics = MovingStatistics.Population };
        BatchNormalizationState population = Modes.TrainingEpochs(merging, fitted, newTrain, random).First();

        BatchStatistics onFrozen = Pixels.Statistics(Modes.Infer(options, fitted, newTest));
        BatchStatistics onTuned = Pixels.Statistics(Modes.Infer(options, tuned[^1], newTest));
        Show.Table(
            ["pixel", "frozen", $"fine-tuned, {Epochs} epochs"],
            [
                .. Pixels.Shown.Select(pixel => new[]
                    { pixel.Name, Pixels.Cell(onFrozen, pixel.Index), Pixels.Cell(onTuned, pixel.Index) }),
            ]);

        Show.Text(
            $"A pixel that was always blank has next to no deviation: {Haze} units of grey count as " +
            $"{onFrozen.Mean[Pixels.Shown[^1].Index]:0} of them. " +
            "What that costs a nearest-centroid classifier that knows the old exposure's outputs, on the test rows:");
        var classifier = new NearestCentroid(Modes.Infer(options, fitted, train), train.Labels);
        var onPixels = new NearestCentroid(train.Pixels, train.Labels);
        string[] Normalized(string name, BatchNormalizationState state, Digits data) =>
            [name, .. Accuracy(classifier, Modes.Infer(options, state, data), data)];
        Show.Table(
            ["exposure, statistics", "right", "accuracy"],
            Normalized("old, fitted", fitted, test),
            Normalized("new, frozen", fitted, newTest),
            Normalized("new, fine-tuned for 1 epoch", tuned[0], newTest),
            Normalized("new, fine-tuned for 5 epochs", tuned[4], newTest),
            Normalized($"new, fine-tuned for {Epochs} epochs", tuned[^1], newTest),
            Normalized("new, Population of 1 epoch", population, newTest),
            ["old, no layer at all", .. Accuracy(onPixels, test.Pixels, test)],
            ["new, no layer at all", .. Accuracy(onPixels, newTest.Pixels, newTest)]);
        Show.Text(
            "Old statistics ruin the classifier after the layer. New rows without labels repair it: Population in " +
            $"one epoch, momentum {options.Momentum} in many. Plain pixels serve this classifier as " +
            "well, since all have one unit; in a network the layers between have no such choice.");
    }

    static string[] Accuracy(NearestCentroid classifier, float[] rows, Digits data)
    {
        int right = classifier.CountCorrect(rows, data.Labels);
        return [$"{right} of {data.Rows}", $"{(double)right / data.Rows:0.0 %}"];
    }
}
