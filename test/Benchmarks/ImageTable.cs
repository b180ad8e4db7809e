using System.Diagnostics;
using System.Globalization;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// Rows a second in training of small convolutional networks with Adam on one thread and on two, and the
/// multiplications and additions a second that the convolutions alone make of them.
/// </summary>
static class ImageTable
{
    const int Rounds = 9, DataRows = 512;
    static readonly TimeSpan Round = TimeSpan.FromMilliseconds(400);

    static readonly (string Name, Network Network, int Batch)[] Networks =
    [
        ("3×32×32: 32 and 64 filters of 3×3", Network.Input(3, 32, 32)
            .Conv2D(32, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D()
            .Conv2D(64, 3, padding: 1, useBias: false).BatchNormalization().ReLU().GlobalAveragePool2D().Dense(10), 64),
        ("64×14×14: 64, 32 and 128 filters of 1×1", Network.Input(64, 14, 14)
            .Conv2D(64, 1, useBias: false).BatchNormalization().ReLU()
            .Conv2D(32, 1, useBias: false).BatchNormalization().ReLU()
            .Conv2D(128, 1, useBias: false).BatchNormalization().ReLU().GlobalAveragePool2D().Dense(10), 64),
    ];

    public static void Print()
    {
        foreach ((string networkName, Network network, int batch) in Networks)
        {
            string name = $"training {networkName} by {batch}";
            if (!name.Contains(Comparison.Filter, StringComparison.OrdinalIgnoreCase))
                continue;
            double[] one = new double[Rounds], two = new double[Rounds];
            using (ITrainingSession first = Start(network, threads: 1), second = Start(network, threads: 2))
            {
                for (int round = -2; round < Rounds; round++)
                {
                    double oneRate = RowsPerSecond(first, batch), twoRate = RowsPerSecond(second, batch);
                    if (round >= 0)
                        (one[round], two[round]) = (oneRate, twoRate);
                }
            }
            Array.Sort(one);
            Array.Sort(two);
            double median = one[Rounds / 2], medianOfTwo = two[Rounds / 2], work = Work(network) / 1e9;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name} one thread={median:N0} rows/s (best {one[^1]:N0}), convolutions {median * work:F1} GFLOP/s " +
                $"(best {one[^1] * work:F1}) two threads={medianOfTwo:N0} (best {two[^1]:N0}) " +
                $"ratio of the two={medianOfTwo / median:F2}"));
        }
    }

    static ITrainingSession Start(Network network, int threads)
    {
        var random = new Random(1);
        float[] features = new float[DataRows * network.InputShape.Size], targets = new float[DataRows];
        for (int i = 0; i < features.Length; i++)
            features[i] = random.NextSingle() * 2 - 1;
        for (int i = 0; i < targets.Length; i++)
            targets[i] = random.Next(network.OutputShape.Size);
        return new CpuEngine(threads).Start(
            network, network.Initialize(1), new TrainingOptions(), new TrainingData(DataRows, features, targets));
    }

    static double RowsPerSecond(ITrainingSession session, int batch)
    {
        int[] rows = [.. Enumerable.Range(0, batch)];
        double[] losses = new double[1];
        long start = Stopwatch.GetTimestamp(), count = 0;
        do
        {
            session.TrainOnBatch(rows, 0.001);
            session.ReadLosses(losses);
            count += batch;
        }
        while (Stopwatch.GetElapsedTime(start) < Round);
        return count / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>
    /// Multiplications and additions of the convolutions of a row: forward, the kernel's gradient, and the input's
    /// except for the first layer.
    /// </summary>
    static double Work(Network network)
    {
        double work = 0;
        foreach (NetworkNode node in network.Nodes)
        {
            if (node.Layer is Conv2DLayer layer)
            {
                double once = 2.0 * node.Output.Size * node.Input[0] * layer.KernelSize.Height * layer.KernelSize.Width;
                work += once * (node == network.Nodes[0] ? 2 : 3);
            }
        }
        return work;
    }
}
