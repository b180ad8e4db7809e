using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace DigitsPipeline;

/// <summary>Trains the same classifier after different normalizations.</summary>
static class CompareStep
{
    /// <returns>The model without normalization, and the one with batch normalization.</returns>
    public static (Model Plain, Model Normalized) Run(
        MLContext mlContext, Evaluation evaluation, IDataView train, IDataView test)
    {
        Show.Heading(
            1, "Fit and evaluate",
            "ML.NET's linear classifier LbfgsMaximumEntropy, with its default options, after different " +
            "normalizations of the pixels. On the test rows:");
        // With more threads, the sum of the gradients and so the last digits would depend on their number.
        var options = new LbfgsMaximumEntropyMulticlassTrainer.Options { NumberOfThreads = 1 };
        LbfgsMaximumEntropyMulticlassTrainer trainer =
            mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy(options);
        TransformsCatalog transforms = mlContext.Transforms;
        (string Name, IEstimator<ITransformer> Estimator)[] normalizations =
        [
            ("none", transforms.CopyColumns("Features", "Pixels")),
            ("NormalizeMeanVariance", transforms.NormalizeMeanVariance("Features", "Pixels")),
            ("NormalizeMeanVariance, fixZero: false",
                transforms.NormalizeMeanVariance("Features", "Pixels", fixZero: false)),
            ("BatchNormalization", transforms.BatchNormalization("Features", "Pixels")),
        ];
        Model[] models = Array.ConvertAll(normalizations, normalization => Show.While(
            $"Training, normalization: {normalization.Name}", () => Fit(normalization.Estimator)));
        Show.Table(
            ["normalization", "accuracy", "log-loss"],
            normalizations.Zip(models, (normalization, model) => (string[])
                [normalization.Name, .. evaluation.Cells(model.Normalization, model.Classifier, test)]));
        Show.Text(
            "BatchNormalization computes what NormalizeMeanVariance does without fixZero. All pixels have one unit, " +
            "so that a linear classifier gains little here; QuickStart has data on which it gains much. Batch " +
            "normalization adds what follows: statistics that can be kept, updated, and exchanged.");
        return (models[0], models[^1]);

        Model Fit(IEstimator<ITransformer> estimator)
        {
            ITransformer normalization = estimator.Fit(train);
            return new Model(normalization, trainer.Fit(normalization.Transform(train)));
        }
    }
}

/// <summary>A fitted normalization, and the classifier that was trained on its outputs.</summary>
sealed record Model(ITransformer Normalization, ITransformer Classifier);

/// <summary>Measures a chain: the share of rows with the right digit, and the log-loss.</summary>
sealed class Evaluation(MLContext mlContext)
{
    public string[] Cells(ITransformer normalization, ITransformer classifier, IDataView data)
    {
        MulticlassClassificationMetrics metrics = mlContext.MulticlassClassification.Evaluate(
            classifier.Transform(normalization.Transform(data)));
        return [$"{metrics.MicroAccuracy:0.0 %}", $"{metrics.LogLoss:0.000}"];
    }
}
