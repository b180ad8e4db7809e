using Microsoft.ML.BatchNorm.TorchSharp;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// Rows a second in training with Adam, each hidden layer a dense one without bias, batch normalization and ReLU; with
/// the data on the device, streamed to it, and in mixed precision, beside the core's CPU engine on all threads.
/// </summary>
static class NetworkTable
{
    const int DataRows = 16_384;

    static readonly (int[] Widths, int Batch)[] Networks =
        [([4, 64, 64, 3], 32), ([64, 128, 64, 10], 256), ([784, 512, 256, 10], 256), ([784, 512, 256, 10], 4096)];

    public static void Print(string device)
    {
        foreach ((int[] widths, int batch) in Networks)
        {
            using var resident = new Run(new TorchEngine(device), widths, batch);
            using var streamed = new Run(new TorchEngine(device, new() { DataBytesOnDevice = 0 }), widths, batch);
            using var mixed = new Run(new TorchEngine(device, new() { MixedPrecision = true }), widths, batch);
            using var core = new Run(new CpuEngine(Environment.ProcessorCount), widths, batch);
            double[] times = Rounds.Medians(device, resident.Step, streamed.Step, mixed.Step, core.Step);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{string.Join("-", widths)} by {batch}: {batch / times[0]:N0} rows/s, " +
                $"streamed {batch / times[1]:N0}, mixed precision {batch / times[2]:N0}; " +
                $"the core's engine on {Environment.ProcessorCount} threads {batch / times[3]:N0} " +
                $"(ratio {times[3] / times[0]:0.0})"));
        }
    }

    /// <summary>One training, a step at a time.</summary>
    sealed class Run : IDisposable
    {
        readonly ITrainingSession session;
        readonly int[][] batches;
        readonly double[] losses = new double[64];
        int next;

        public Run(ITrainingEngine engine, int[] widths, int batch)
        {
            Network network = Network.Input(widths[0]);
            foreach (int width in widths[1..^1])
                network = network.Dense(width, useBias: false).BatchNormalization().ReLU();
            network = network.Dense(widths[^1]);
            float[] features = new float[DataRows * widths[0]], targets = new float[DataRows];
            var random = new Random(1);
            for (int i = 0; i < features.Length; i++)
                features[i] = random.NextSingle() * 2 - 1;
            for (int i = 0; i < targets.Length; i++)
                targets[i] = random.Next(widths[^1]);
            session = engine.Start(
                network, network.Initialize(1), new TrainingOptions(), new TrainingData(DataRows, features, targets));
            int[] rows = [.. Enumerable.Range(0, DataRows)];
            random.Shuffle(rows);
            batches = [.. rows.Chunk(batch)];
        }

        public void Step()
        {
            session.TrainOnBatch(batches[next], 0.001);
            next = (next + 1) % batches.Length;
            session.Prefetch(batches[next]);
            if (next == 0)
                session.ReadLosses(losses);
        }

        public void Dispose() => session.Dispose();
    }
}
