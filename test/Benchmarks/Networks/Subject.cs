namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>A network that is measured, and the rows of a batch in training.</summary>
sealed record Subject(string Title, Network Network, int Batch)
{
    /// <summary>Dense networks, each hidden layer one without bias, batch normalization and ReLU.</summary>
    public static Subject[] Dense { get; } =
        [Of(32, 4, 64, 64, 3), Of(256, 64, 128, 64, 10), Of(256, 784, 512, 256, 10)];

    /// <summary>
    /// Two convolutions with 32 and 64 filters, and three with 64, 32 and 128, which are products alone.
    /// </summary>
    public static Subject[] Images { get; } =
    [
        new("convolutions of 3x3 on 3x32x32", Network.Input(3, 32, 32)
            .Conv2D(32, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D()
            .Conv2D(64, 3, padding: 1, useBias: false).BatchNormalization().ReLU().GlobalAveragePool2D().Dense(10), 64),
        new("convolutions of 1x1 on 64x14x14", Network.Input(64, 14, 14)
            .Conv2D(64, 1, useBias: false).BatchNormalization().ReLU()
            .Conv2D(32, 1, useBias: false).BatchNormalization().ReLU()
            .Conv2D(128, 1, useBias: false).BatchNormalization().ReLU().GlobalAveragePool2D().Dense(10), 64),
    ];

    /// <summary>One thread, and all.</summary>
    public static int[] ThreadCounts { get; } = [.. new[] { 1, Environment.ProcessorCount }.Distinct()];

    /// <summary>A dense network of such widths.</summary>
    public static Subject Of(int batch, params int[] widths)
    {
        Network network = Network.Input(widths[0]);
        foreach (int width in widths[1..^1])
            network = network.Dense(width, useBias: false).BatchNormalization().ReLU();
        return new Subject(string.Join('-', widths), network.Dense(widths[^1]), batch);
    }

    /// <summary>"1 thread", "2 threads".</summary>
    public static string Threads(int count) => count == 1 ? "1 thread" : $"{count} threads";

    /// <summary>The title and the batch.</summary>
    public string Name => $"{Title} by {Batch}";

    public bool IsOfImages => Network.InputShape.Rank == 3;

    /// <summary>Operations in a step of training for a row; a multiply-add is two.</summary>
    public double OperationsOfTraining => 2.0 * StepWork.MultiplyAdds(Network);

    /// <summary>The shape of so many rows.</summary>
    public long[] InputShape(int rows) => Array.ConvertAll(Network.InputShape.WithRows(rows), size => (long)size);

    /// <summary>Random features of some rows.</summary>
    public float[] Features(int rows)
    {
        var random = new Random(1);
        float[] features = new float[rows * Network.InputShape.Size];
        for (int i = 0; i < features.Length; i++)
            features[i] = random.NextSingle() * 2 - 1;
        return features;
    }

    /// <summary>Random rows, with classes.</summary>
    public TrainingData Data(int rows)
    {
        var random = new Random(2);
        float[] targets = new float[rows];
        for (int i = 0; i < rows; i++)
            targets[i] = random.Next(Network.OutputShape.Size);
        return new TrainingData(rows, Features(rows), targets);
    }

    /// <summary>The batches of an epoch, in a random order of the rows.</summary>
    public int[][] Batches(int rows)
    {
        int[] order = [.. Enumerable.Range(0, rows)];
        new Random(3).Shuffle(order);
        return [.. order.Chunk(Batch)];
    }
}
