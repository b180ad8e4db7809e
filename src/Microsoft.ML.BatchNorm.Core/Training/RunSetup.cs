using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>What does not change in a run: the network as given, and the phases with their switches thrown.</summary>
/// <param name="Network">The network as it was given.</param>
/// <param name="Options">The options as they were given.</param>
/// <param name="Phases">At least one.</param>
/// <param name="DataChecksum">Of all rows, so that a run is not resumed on others.</param>
sealed record RunSetup(Network Network, TrainingOptions Options, ImmutableArray<RunPhase> Phases, uint DataChecksum)
{
    public RunSetup WithEpochs(int epochs) =>
        this with { Phases = Phases.SetItem(Phases.Length - 1, Phases[^1] with { Epochs = epochs }) };
}

/// <summary>A phase on its network, which differs from the given one in switches alone.</summary>
sealed record RunPhase(string Name, int Epochs, double LearningRate, Network Network);
