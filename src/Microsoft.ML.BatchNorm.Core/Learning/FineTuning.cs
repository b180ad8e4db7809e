using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>Plans for fine-tuning a pretrained network.</summary>
public static class FineTune
{
    /// <summary>The name of the phase that trains the head.</summary>
    public const string HeadPhase = "head";

    /// <summary>The name of the phase that trains all layers.</summary>
    public const string AllPhase = "all";

    /// <summary>
    /// Trains only the head, over a frozen base whose batch normalizations are in inference mode. The head is the one
    /// that <see cref="Network.WithHead"/> replaces, with all layers after it.
    /// </summary>
    /// <param name="epochs">The epochs of the phase.</param>
    /// <param name="learningRate">The learning rate, such as 1e-3.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of range.</exception>
    public static FineTuningPlan HeadOnly(int epochs, double learningRate) => new(Head(epochs, learningRate));

    /// <summary>
    /// Trains first only the head, over a frozen base whose batch normalizations are in inference mode, then all
    /// layers. The head is the one that <see cref="Network.WithHead"/> replaces, with all layers after it. Layers that
    /// are already frozen stay frozen.
    /// </summary>
    /// <param name="headEpochs">The epochs of the first phase.</param>
    /// <param name="allEpochs">The epochs of the second phase.</param>
    /// <param name="headLearningRate">The learning rate of the first phase, such as 1e-3.</param>
    /// <param name="learningRate">The learning rate of the second phase, a lower one, such as 1e-5.</param>
    /// <param name="batchNormalization">
    /// What the base's batch normalizations do in the second phase. Default: γ and β learn, the moving statistics stay.
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

/// <summary>What the batch normalizations below the head do while all layers train.</summary>
public enum FineTuneBatchNormalization
{
    /// <summary>They stay as they are, in inference mode, with γ and β: <c>trainable = False</c> in Keras.</summary>
    KeepFrozen,

    /// <summary>γ and β learn; the moving statistics stay, and the layers normalize with them. The default.</summary>
    KeepStatistics,

    /// <summary>
    /// They train like any layer: with batch statistics, and moving statistics that follow the new data.
    /// </summary>
    Train,
}

/// <summary>
/// The phases of a run, one after the other. Each starts from the parameters of the phase before it, with a fresh
/// optimizer, schedule and early stopping. An immutable value.
/// </summary>
public sealed class FineTuningPlan
{
    /// <summary>Makes a plan of the given phases.</summary>
    /// <exception cref="ArgumentException">There is no phase, or two have the same name.</exception>
    public FineTuningPlan(params IEnumerable<TrainingPhase> phases)
    {
        Phases = [.. phases];
        if (Phases.IsEmpty)
            throw new ArgumentException("A plan must have a phase.", nameof(phases));
        if (Phases.GroupBy(phase => phase.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new ArgumentException($"Two phases have the name '{twice.Key}'.", nameof(phases));
    }

    /// <summary>The phases, in their order.</summary>
    public ImmutableArray<TrainingPhase> Phases { get; }
}

/// <summary>One part of a run: epochs with switches and a learning rate of their own. An immutable value.</summary>
/// <param name="Name">What progress and history call it.</param>
/// <param name="Epochs">How many times the phase goes through the data; positive.</param>
/// <param name="LearningRate">The optimizer's learning rate, before the schedule; at least 0.</param>
/// <param name="Switches">
/// Makes the network of this phase from the run's network: the same layers with other switches. A layer that is frozen
/// in the run's network must stay frozen.
/// </param>
public sealed record TrainingPhase(string Name, int Epochs, double LearningRate, Func<Network, Network> Switches)
{
    /// <summary>What progress and history call it.</summary>
    public string Name { get; init => field = Check.NotNull(value); } = Check.NotNull(Name);

    /// <summary>How many times the phase goes through the data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Epochs { get; init => field = Check.Positive(value, nameof(Epochs)); } =
        Check.Positive(Epochs, nameof(Epochs));

    /// <summary>The optimizer's learning rate, before the schedule.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double LearningRate { get; init => field = Check.NotNegative(value, nameof(LearningRate)); } =
        Check.NotNegative(LearningRate, nameof(LearningRate));

    /// <summary>Makes the network of this phase from the run's network.</summary>
    public Func<Network, Network> Switches { get; init => field = Check.NotNull(value); } = Check.NotNull(Switches);
}
