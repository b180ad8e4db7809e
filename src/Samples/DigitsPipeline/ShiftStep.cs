using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Transforms;

namespace DigitsPipeline;

/// <summary>Changes the exposure, and compares a frozen layer with fine-tuned ones.</summary>
static class ShiftStep
{
    /// <returns>The layer that FineTune returned.</returns>
    public static BatchNormalizationTransformer Run(
        MLContext mlContext, Evaluation evaluation, (Model Plain, Model Normalized) models, IDataView train,
        IDataView test)
    {
        Show.Heading(
            2, "Freeze and fine-tune on another exposure",
            $"The same digits at half the contrast on grey paper: {Exposure.Formula}. The classifier does not " +
            "change; the layer before it is frozen, or fine-tuned on the new training rows, without labels. Accuracy " +
            "and log-loss on the test rows, under the old exposure and the new one:");
        ExpressionTransformer exposure = Exposure.Create(mlContext, train);
        IDataView newTest = exposure.Transform(test);
        (ITransformer fitted, ITransformer classifier) = models.Normalized;
        var layer = (BatchNormalizationTransformer)fitted;
        var tuning = new FineTuning(mlContext, layer, exposure.Transform(train));
        BatchNormalizationTransformer merged = tuning.Merged();
        Show.Table(
            ["layer", "bits", "old: right", "log-loss", "new: right", "log-loss"],
            Row("Freeze, FineTune", tuning.Frozen()),
            Row("Unfreeze, FineTune", merged),
            Row("Fit(rows, previous)*", tuning.Averaged()),
            Row("new Fit(rows)", tuning.Anew()),
            ["no layer at all", "", .. Cells(models.Plain.Normalization, models.Plain.Classifier)]);
        Show.Text(
            $"  * exponential averages, momentum {FineTuning.Momentum}, one epoch of batches of " +
            $"{FineTuning.BatchSize}");
        Show.Text(
            "A frozen layer keeps every bit, and its old statistics ruin the classifier after it. FineTune merges " +
            "the new rows into the exact statistics of the old ones, which serves both exposures here. An average or " +
            "a new fit adapts to the new exposure, and is as good there as the old statistics were under the old " +
            "one. The classifier on plain pixels loses little here, since all pixels have one unit: normalization " +
            "earns its place on columns of different units, and its statistics must follow the data.");
        return merged;

        string[] Row(string name, BatchNormalizationTransformer normalization)
        {
            bool same = normalization.GetState("Features").Equals(layer.GetState("Features"));
            return [name, same ? "same" : "moved", .. Cells(normalization, classifier)];
        }

        string[] Cells(ITransformer normalization, ITransformer classifier) =>
        [
            .. evaluation.Cells(normalization, classifier, test),
            .. evaluation.Cells(normalization, classifier, newTest),
        ];
    }
}

/// <summary>The ways to adapt a fitted layer to new rows. None of them reads a label.</summary>
sealed class FineTuning(MLContext mlContext, BatchNormalizationTransformer fitted, IDataView rows)
{
    public const double Momentum = 0.9;
    public const int BatchSize = 32;

    /// <summary>Every bit stays the same, and the rows are not even read.</summary>
    public BatchNormalizationTransformer Frozen() => fitted.Freeze().FineTune(rows);

    /// <summary>The exact statistics of the old and the new rows together.</summary>
    public BatchNormalizationTransformer Merged() => fitted.Unfreeze().FineTune(rows);

    /// <summary>A moving average that starts at the fitted statistics, and forgets them batch by batch.</summary>
    public BatchNormalizationTransformer Averaged() => mlContext.Transforms.BatchNormalization(
        new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Features", "Pixels")],
            Layer = BatchNormalizationOptions.Keras with { Momentum = Momentum },
            BatchSize = BatchSize,
        }).Fit(rows, fitted);

    /// <summary>The exact statistics of only the new rows.</summary>
    public BatchNormalizationTransformer Anew() =>
        mlContext.Transforms.BatchNormalization("Features", "Pixels").Fit(rows);
}

/// <summary>The same digits at half the contrast, on grey paper.</summary>
static class Exposure
{
    public const string Formula = "0.5 * pixel + 3";

    public static ExpressionTransformer Create(MLContext mlContext, IDataView data) =>
        mlContext.Transforms.Expression("Pixels", "(pixel) : 0.5f * pixel + 3f", "Pixels").Fit(data);
}
