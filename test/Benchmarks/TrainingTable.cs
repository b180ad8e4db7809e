using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// Rows a second in training with Adam, each hidden layer a dense one without bias, batch normalization and ReLU;
/// beside what PyTorch 1.13 with OpenBLAS did on one thread of such a machine.
/// </summary>
static class TrainingTable
{
    const int Rounds = 15;
    static readonly TimeSpan Round = TimeSpan.FromMilliseconds(150);

    static readonly (int[] Widths, int Batch, double PyTorch)[] Networks =
    [
        ([4, 64, 64, 3], 32, 104_000),
        ([64, 128, 64, 10], 256, 477_000),
        ([784, 512, 256, 10], 256, 66_000),
    ];

    public static void Print()
    {
        Console.WriteLine(
            "Training; the figure beside is PyTorch's 1.13 on one thread, of such a machine, not measured here.");
        foreach ((int[] widths, int batch, double pyTorch) in Networks)
        {
            string name = $"training {string.Join("→", widths)} by {batch}";
            if (!name.Contains(Comparison.Filter, StringComparison.OrdinalIgnoreCase))
                continue;
            double[] one = new double[Rounds], two = new double[Rounds];
            using (var first = new Run(widths, batch, threads: 1))
            using (var second = new Run(widths, batch, threads: 2))
            {
                for (int round = -3; round < Rounds; round++)
                {
                    double oneRate = first.RowsPerSecond(Round), twoRate = second.RowsPerSecond(Round);
                    if (round >= 0)
                        (one[round], two[round]) = (oneRate, twoRate);
                }
            }
            Array.Sort(one);
            Array.Sort(two);
            double median = one[Rounds / 2], medianOfTwo = two[Rounds / 2];
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name} one thread={median:N0} rows/s (best {one[^1]:N0}) PyTorch={pyTorch:N0} " +
                $"ratio={median / pyTorch:F2} two threads={medianOfTwo:N0} (best {two[^1]:N0}) " +
                $"ratio of the two={medianOfTwo / median:F2}"));
        }
    }

    sealed class Run : IDisposable
    {
        const int DataRows = 8192;

        readonly ITrainingSession session;
        readonly int[][] batches;
        readonly double[] losses = new double[1024];
        int next;

        public Run(int[] widths, int batch, int threads)
        {
            Network network = Network.Input(widths[0]);
            for (int i = 1; i < widths.Length - 1; i++)
                network = network.Dense(widths[i], useBias: false).BatchNormalization().ReLU();
            network = network.Dense(widths[^1]);
            var random = new Random(1);
            float[] features = new float[DataRows * widths[0]], targets = new float[DataRows];
            for (int i = 0; i < features.Length; i++)
                features[i] = random.NextSingle() * 2 - 1;
            for (int i = 0; i < targets.Length; i++)
                targets[i] = random.Next(widths[^1]);
            session = new CpuEngine(threads).Start(
                network, network.Initialize(1), new TrainingOptions(), new TrainingData(DataRows, features, targets));
            int[] rows = [.. Enumerable.Range(0, DataRows)];
            random.Shuffle(rows);
            batches = [.. rows.Chunk(batch)];
        }

        public double RowsPerSecond(TimeSpan atLeast)
        {
            long start = Stopwatch.GetTimestamp(), rows = 0;
            do
            {
                for (int i = 0; i < 4; i++)
                {
                    session.TrainOnBatch(batches[next], 0.001);
                    rows += batches[next].Length;
                    next = (next + 1) % batches.Length;
                }
                session.ReadLosses(losses);
            }
            while (Stopwatch.GetElapsedTime(start) < atLeast);
            return rows / Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        public void Dispose() => session.Dispose();
    }
}
