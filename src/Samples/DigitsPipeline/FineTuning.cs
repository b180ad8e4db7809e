using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.Transforms;

namespace DigitsPipeline;

/// <summary>The ways to bring a fitted layer to new rows, none of which reads a label.</summary>
sealed class FineTuning(MLContext mlContext, BatchNormalizationTransformer fitted, IDataView rows)
{
    public const double Momentum = 0.9;
    public const int BatchSize = 32;

    /// <summary>Bit for bit as it was: the rows are not even read.</summary>
    public BatchNormalizationTransformer Frozen() => fitted.Freeze().FineTune(rows);

    /// <summary>The exact statistics of the rows seen before and the new ones together.</summary>
    public BatchNormalizationTransformer Merged() => fitted.Unfreeze().FineTune(rows);

    /// <summary>A moving average that starts at the fitted statistics, and forgets them batch by batch.</summary>
    public BatchNormalizationTransformer Averaged() => mlContext.Transforms.BatchNormalization(
        new BatchNormalizationEstimator.Options
        {
            Columns = [new InputOutputColumnPair("Features", "Pixels")],
            Layer = BatchNormalizationOptions.Keras with { Momentum = Momentum },
            BatchSize = BatchSize,
        }).Fit(rows, fitted);

    /// <summary>The exact statistics of the new rows alone.</summary>
    public BatchNormalizationTransformer Anew() =>
        mlContext.Transforms.BatchNormalization("Features", "Pixels").Fit(rows);
}
