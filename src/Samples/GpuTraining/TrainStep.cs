using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.TorchSharp;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace GpuTraining;

/// <summary>Trains one network on this process's threads and on the device.</summary>
static class TrainStep
{
    const int Epochs = 20, BatchSize = 128, Units = 1024;

    public static ITransformer Run(string device, IDataView train, IDataView test, int seed)
    {
        Show.Heading(
            2, "Training",
            $"64 pixels, two layers of {Units:N0} units with batch normalization, 10 digits; {Epochs} epochs of " +
            $"batches of {BatchSize}. Time counts from Fit to its end.");
        (double cpuSeconds, ITransformer cpu) =
            Fit(Context(seed, gpu: false), train, new CpuEngine(Environment.ProcessorCount));
        // Nothing is handed in where there is a GPU: the context's GpuDeviceId is enough.
        (double seconds, ITransformer model) =
            Fit(Context(seed, gpu: device == "cuda"), train, device == "cuda" ? null : new TorchEngine(device));
        Show.Table(
            ["engine", "seconds", "accuracy", "log-loss"],
            Row($"the core's, {Environment.ProcessorCount} threads", cpuSeconds, cpu, test),
            Row($"TorchSharp, {device}", seconds, model, test));
        return model;
    }

    static MLContext Context(int seed, bool gpu) =>
        gpu ? new MLContext(seed) { GpuDeviceId = 0, FallbackToCpu = false } : new MLContext(seed);

    static (double Seconds, ITransformer Model) Fit(MLContext mlContext, IDataView train, ITrainingEngine? engine)
    {
        BatchNormNetworkMulticlassTrainer trainer = mlContext.MulticlassClassification.Trainers.BatchNormNetwork(
            new BatchNormNetworkMulticlassTrainer.Options
            {
                FeatureColumnName = "Pixels",
                NetworkFactory = (shape, digits) => Network.Input(shape.Size)
                    .BatchNormalization()
                    .Dense(Units, useBias: false).BatchNormalization().ReLU()
                    .Dense(Units, useBias: false).BatchNormalization().ReLU()
                    .Dense(digits),
                Epochs = Epochs,
                BatchSize = BatchSize,
                RecomputeStatistics = true,
                Engine = engine,
            });
        var watch = Stopwatch.StartNew();
        ITransformer model = Show.While("training", () => trainer.Fit(train));
        return (watch.Elapsed.TotalSeconds, model);
    }

    static string[] Row(string name, double seconds, ITransformer model, IDataView test)
    {
        MulticlassClassificationMetrics metrics =
            new MLContext().MulticlassClassification.Evaluate(model.Transform(test));
        return
        [
            name, seconds.ToString("0.0", CultureInfo.InvariantCulture),
            metrics.MicroAccuracy.ToString("P1", CultureInfo.InvariantCulture),
            metrics.LogLoss.ToString("0.000", CultureInfo.InvariantCulture),
        ];
    }
}
