using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>What does not change in a run: the network as given, and the phases with their switches thrown.</summary>
/// <param name="Network">The network as it was given.</param>
/// <param name="Options">The options as they were given.</param>
/// <param name="Phases">At least one.</param>
/// <param name="DataChecksum">Of all rows, so that a run is not resumed on others.</param>
sealed record RunSetup(Network Network, TrainingOptions Options, ImmutableArray<RunPhase> Phases, uint DataChecksum)
{
    public RunSetup WithEpochs(int epochs) =>
        this with { Phases = Phases.SetItem(Phases.Length - 1, Phases[^1] with { Epochs = epochs }) };

    /// <summary>The epochs of the phases before this one, as planned.</summary>
    public int EpochsBefore(int phase) => Phases.Take(phase).Sum(earlier => earlier.Epochs);

    /// <summary>What a phase's session is given.</summary>
    public TrainingOptions OptionsOf(RunPhase phase) => Options with
    {
        Epochs = phase.Epochs,
        Optimizer = Options.Optimizer with { LearningRate = phase.LearningRate },
    };
}

/// <summary>A phase on its network, which differs from the given one in switches alone.</summary>
sealed record RunPhase(string Name, int Epochs, double LearningRate, Network Network)
{
    public static ImmutableArray<RunPhase> Of(Network network, TrainingOptions options, FineTuningPlan? plan) => plan is null
        ? [new RunPhase("", options.Epochs, options.Optimizer.LearningRate, network)]
        : [.. plan.Phases.Select(phase => new RunPhase(
            phase.Name, phase.Epochs, phase.LearningRate, Checked(network, phase)))];

    static Network Checked(Network given, TrainingPhase phase)
    {
        Network network = phase.Switches(given)
            ?? throw new ArgumentException($"The switches of phase '{phase.Name}' give no network.");
        if (!network.InputShape.Equals(given.InputShape) || !network.Nodes.Select(Place).SequenceEqual(given.Nodes.Select(Place)))
            throw new ArgumentException($"The switches of phase '{phase.Name}' change the layers themselves.");
        for (int i = 0; i < given.Nodes.Count; i++)
        {
            if (!given.Nodes[i].IsTrainable && network.Nodes[i].IsTrainable)
                throw new ArgumentException(
                    $"Phase '{phase.Name}' unfreezes '{given.Nodes[i].Path}', which is frozen in the network that was given.");
        }
        return network;

        static (string Path, string Kind, TensorShape Output) Place(NetworkNode node) =>
            (node.Path, node.Layer.Kind, node.Output);
    }
}
