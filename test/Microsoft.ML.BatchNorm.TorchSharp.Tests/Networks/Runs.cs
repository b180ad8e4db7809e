namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>Data and short trainings.</summary>
static class Runs
{
    public static TrainingData Data(Network network, Loss loss, int rows, int seed = 1, bool weighted = false)
    {
        int outputs = network.OutputShape.Size;
        float[] targets = loss switch
        {
            SoftmaxCrossEntropyLoss => [.. Enumerable.Range(0, rows).Select(row => (float)(row * 7 % outputs))],
            BinaryCrossEntropyLoss =>
                [.. Enumerable.Range(0, rows * outputs).Select(i => (float)(i * 5 % 3 > 0 ? 1 : 0))],
            _ => Sample.Floats(rows * outputs, seed + 1),
        };
        float[] weights = weighted ? [.. Enumerable.Range(0, rows).Select(row => row % 4 / 2f)] : [];
        return new(rows, Sample.Floats(rows * network.InputShape.Size, seed), targets, weights);
    }

    /// <summary>Trains on the rows in their order, and gives the losses.</summary>
    public static double[] Train(
        ITrainingSession session, int rows, int batchSize, int epochs = 1, double learningRate = 0.01)
    {
        var losses = new List<double>();
        double[] read = new double[64];
        for (int epoch = 0; epoch < epochs; epoch++)
        {
            foreach (int[] batch in Enumerable.Range(0, rows).Chunk(batchSize))
                session.TrainOnBatch(batch, learningRate);
            for (int count; (count = session.ReadLosses(read)) > 0;)
                losses.AddRange(read[..count]);
        }
        return [.. losses];
    }

    public static void Agree(double tolerance, Network network, NetworkState expected, NetworkState actual)
    {
        foreach (NetworkNode node in network.Nodes)
        {
            if (expected.TryGet(node.Path) is { } layer)
                Agree(tolerance, layer, actual[node.Path], node.Path);
        }
    }

    static void Agree(double tolerance, LayerState expected, LayerState actual, string path)
    {
        if (expected.BatchNormalization is not { } normalization)
        {
            Agreement.Within(tolerance, Sample.Widen(expected.Kernel), actual.Kernel, $"{path}/kernel");
            Agreement.Within(tolerance, Sample.Widen(expected.Bias), actual.Bias, $"{path}/bias");
            return;
        }
        BatchNormalizationState other = actual.BatchNormalization!;
        Agreement.Within(tolerance, Sample.Widen(normalization.Gamma), other.Gamma, $"{path}/gamma");
        Agreement.Within(tolerance, Sample.Widen(normalization.Beta), other.Beta, $"{path}/beta");
        Agreement.Within(tolerance, normalization.MovingMean, other.MovingMean, $"{path}/movingMean");
        Agreement.Within(tolerance, normalization.MovingVariance, other.MovingVariance, $"{path}/movingVariance");
        Assert.AreEqual(normalization.BatchesSeen, other.BatchesSeen, $"{path}, batches seen");
        Assert.AreEqual(normalization.InitialWeight, other.InitialWeight, 1e-15, $"{path}, initial weight");
        Assert.AreEqual(normalization.GetPopulation() is null, other.GetPopulation() is null, $"{path}, population");
        if (normalization.GetPopulation() is { } population)
            Agreement.SameBits(population.Count, other.GetPopulation()!.Count, $"{path}, count");
        if (normalization.Renorm is { } renorm)
        {
            Agreement.Within(tolerance, renorm.Mean, other.Renorm!.Mean, $"{path}/renormMean");
            Agreement.Within(
                tolerance, renorm.StandardDeviation, other.Renorm.StandardDeviation, $"{path}/renormDeviation");
            Agreement.Within(
                tolerance, renorm.MovingStandardDeviation, other.Renorm.MovingStandardDeviation,
                $"{path}/movingDeviation");
        }
    }
}
