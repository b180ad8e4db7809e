namespace Microsoft.ML.BatchNorm;

/// <summary>Plans for fine-tuning a pretrained network.</summary>
public static class FineTune
{
    /// <summary>The name of the phase that trains the head.</summary>
    public const string HeadPhase = "head";

    /// <summary>The name of the phase that trains all layers.</summary>
    public const string AllPhase = "all";

    /// <summary>
    /// The head alone, over a frozen base whose batch normalizations are in inference mode. The head is the last layer
    /// with a kernel and what follows it.
    /// </summary>
    /// <param name="epochs">How often the data is gone through.</param>
    /// <param name="learningRate">The learning rate, such as 1e-3.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static FineTuningPlan HeadOnly(int epochs, double learningRate) => new(Head(epochs, learningRate));

    /// <summary>
    /// First the head alone, over a frozen base whose batch normalizations are in inference mode; then all layers. The
    /// head is the last layer with a kernel and what follows it; layers that are frozen already stay so.
    /// </summary>
    /// <param name="headEpochs">The epochs of the first phase.</param>
    /// <param name="allEpochs">The epochs of the second phase.</param>
    /// <param name="headLearningRate">The learning rate of the first phase, such as 1e-3.</param>
    /// <param name="learningRate">The learning rate of the second phase, a lower one, such as 1e-5.</param>
    /// <param name="batchNormalization">
    /// What becomes of the base's batch normalizations in the second phase. Default: γ and β learn, the moving
    /// statistics stay.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static FineTuningPlan HeadThenAll(
        int headEpochs, int allEpochs, double headLearningRate, double learningRate,
        FineTuneBatchNormalization batchNormalization = FineTuneBatchNormalization.KeepStatistics)
    {
        Check.Defined(batchNormalization, nameof(batchNormalization));
        return new FineTuningPlan(
            Head(headEpochs, headLearningRate),
            new TrainingPhase(AllPhase, allEpochs, learningRate, network => All(network, batchNormalization)));
    }

    static TrainingPhase Head(int epochs, double learningRate) => new(HeadPhase, epochs, learningRate, HeadAlone);

    static Network HeadAlone(Network network)
    {
        int head = network.HeadIndex;
        if (!network.Nodes.Skip(head).Any(node => node.TrainableCount > 0))
            throw new ArgumentException(
                $"The head, '{network.Nodes[head].Path}', is frozen; there is nothing to train.");
        string[] below = [.. network.Nodes.Take(head).Select(node => node.Path)];
        return below.Length == 0 ? network : network.Freeze(below);
    }

    static Network All(Network network, FineTuneBatchNormalization batchNormalization)
    {
        string[] below = [.. network.Nodes.Take(network.HeadIndex)
            .Where(node => node.Layer is BatchNormalizationLayer).Select(node => node.Path)];
        return below.Length == 0 ? network : batchNormalization switch
        {
            FineTuneBatchNormalization.KeepFrozen => network.Freeze(below),
            FineTuneBatchNormalization.KeepStatistics =>
                network.WithBatchNormalization(options => options with { UpdateStatistics = false }, below),
            _ => network,
        };
    }
}
