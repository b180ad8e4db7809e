using Microsoft.ML;
using Microsoft.ML.Data;

namespace DigitsPipeline;

/// <summary>How good a chain is: the share of rows called by their right digit, and the log-loss.</summary>
sealed class Evaluation(MLContext mlContext)
{
    public string[] Cells(ITransformer normalization, ITransformer classifier, IDataView data)
    {
        MulticlassClassificationMetrics metrics = mlContext.MulticlassClassification.Evaluate(
            classifier.Transform(normalization.Transform(data)));
        return [$"{metrics.MicroAccuracy:0.0 %}", $"{metrics.LogLoss:0.000}"];
    }
}
