using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.BatchNorm;
using Microsoft.ML.BatchNorm.TorchSharp;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace GpuTraining;

/// <summary>Trains one network on the processor and on the device.</summary>
static class TrainStep
{
    const int Epochs = 20, BatchSize = 128, Units = 1024;

    public static ITransformer Run(TorchEngine engine, IDataView train, int trainRows, IDataView test, int seed)
    {
        Show.Heading(
            2, "Training",
            $"64 pixels, two layers of {Units:N0} units with batch normalization, 10 digits; {Epochs} epochs of " +
            $"batches of {BatchSize}. The time is that of Fit.");
        bool isGpu = engine.Device == "cuda";
        int threads = Environment.ProcessorCount;
        (double cpuSeconds, ITransformer cpu) =
            Fit("the core's engine", Context(seed, gpu: false), new CpuEngine(threads));
        // A GPU needs no engine here: the context's GpuDeviceId is enough.
        (double seconds, ITransformer model) = Fit("TorchSharp", Context(seed, isGpu), isGpu ? null : engine);
        Show.Table(
            ["engine", "device", "seconds", "accuracy", "log-loss"],
            Row("the core's", Cpu(threads), cpuSeconds, cpu, test),
            Row("TorchSharp", isGpu ? engine.Device : Cpu(engine.Options.Threads), seconds, model, test));
        return model;

        (double Seconds, ITransformer Model) Fit(string name, MLContext mlContext, ITrainingEngine? engine)
        {
            var watch = Stopwatch.StartNew();
            ITransformer fitted = Show.Progress(name, (long)Epochs * trainRows, progress =>
            {
                // The trainer writes a line to the context's log after every epoch.
                mlContext.Log += (_, log) =>
                {
                    if (log.RawMessage.StartsWith("Epoch ", StringComparison.Ordinal))
                        progress.Add(trainRows);
                };
                return Trainer(mlContext, engine).Fit(train);
            });
            return (watch.Elapsed.TotalSeconds, fitted);
        }
    }

    static string Cpu(int threads) => $"cpu, {threads} thread{(threads == 1 ? "" : "s")}";

    static MLContext Context(int seed, bool gpu) =>
        gpu ? new MLContext(seed) { GpuDeviceId = 0, FallbackToCpu = false } : new MLContext(seed);

    static BatchNormNetworkMulticlassTrainer Trainer(MLContext mlContext, ITrainingEngine? engine) =>
        mlContext.MulticlassClassification.Trainers.BatchNormNetwork(
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

    static string[] Row(string name, string device, double seconds, ITransformer model, IDataView test)
    {
        MulticlassClassificationMetrics metrics =
            new MLContext().MulticlassClassification.Evaluate(model.Transform(test));
        return
        [
            name, device, seconds.ToString("0.0", CultureInfo.InvariantCulture),
            metrics.MicroAccuracy.ToString("P1", CultureInfo.InvariantCulture),
            metrics.LogLoss.ToString("0.000", CultureInfo.InvariantCulture),
        ];
    }
}
