using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Training;

/// <summary>What does not change in a run: the network as given, and the phases with their switches thrown.</summary>
/// <param name="Network">The network as it was given.</param>
/// <param name="Options">The options as they were given.</param>
/// <param name="Phases">At least one.</param>
/// <param name="DataChecksum">Of all rows, so that a run is not resumed on others.</param>
sealed record RunSetup(Network Network, TrainingOptions Options, ImmutableArray<RunPhase> Phases, uint DataChecksum)
{
    /// <summary>With another number of epochs in the last phase.</summary>
    public RunSetup WithEpochs(int epochs) => this with
    {
        Options = Options with { Epochs = epochs },
        Phases = Phases.SetItem(Phases.Length - 1, Phases[^1] with { Epochs = epochs }),
    };

    /// <summary>The epochs of the phases before this one, as planned.</summary>
    public long EpochsBefore(int phase) => Phases.Take(phase).Sum(earlier => (long)earlier.Epochs);

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
    public static ImmutableArray<RunPhase> Of(Network network, TrainingOptions options, FineTuningPlan? plan) =>
        plan is null
            ? [new RunPhase("", options.Epochs, options.Optimizer.LearningRate, network)]
            : [.. plan.Phases.Select(phase => Of(network, phase))];

    /// <exception cref="ArgumentException">
    /// The phase's network differs from the given one in more than switches.
    /// </exception>
    public void CheckSameLayers(Network given)
    {
        if (!Network.InputShape.Equals(given.InputShape)
            || !Network.Nodes.Select(Place).SequenceEqual(given.Nodes.Select(Place)))
            throw new ArgumentException($"Phase '{Name}' changes the layers themselves, not their switches alone.");

        static (string Path, string Kind, string Inputs, TensorShape Output) Place(NetworkNode node) =>
            (node.Path, node.Layer.Kind, string.Join(' ', node.Inputs), node.Output);
    }

    /// <exception cref="ArgumentException">
    /// Nothing in the network trains, or a batch normalization would give β for whatever it gets.
    /// </exception>
    public void CheckTrains(Batches batches)
    {
        string phase = Name.Length == 0 ? "the network" : $"the network of phase '{Name}'";
        if (!Network.Nodes.Any(node => node.TrainableCount > 0 || node.MovesStatistics))
            throw new ArgumentException(
                $"Nothing in {phase} trains: every layer that could is frozen (Freeze, Trainable), or a batch "
                + "normalization with UpdateStatistics and TrainAffine off. Unfreeze a layer.");
        if (Network.Nodes.FirstOrDefault(node => HasSingleValues(node, (int)batches.RowsIn(0))) is { } single)
            throw new ArgumentException(
                (batches.Rows == 1 ? "There is 1 row to train on: layer" : "Layer")
                + $" '{single.Path}' of {phase} gets a single value per channel to normalize, and would give β for any "
                + $"value. {(batches.Rows == 1 ? "Add rows" : "Take a greater BatchSize or VirtualBatchSize")}, or "
                + "freeze the layer.");
    }

    /// <summary>Renormalization is the exception: it has the moving statistics in its output.</summary>
    static bool HasSingleValues(NetworkNode node, int rows) =>
        node.Layer is BatchNormalizationLayer { EffectiveOptions: { Renorm: null } options } layer
        && options.UsesBatchStatistics(training: true)
        && (long)Math.Min(rows, options.VirtualBatchSize ?? rows) * node.Input.Size == layer.Channels(node.Input);

    static RunPhase Of(Network given, TrainingPhase phase)
    {
        Network network = phase.Switches(given)
            ?? throw new ArgumentException($"The switches of phase '{phase.Name}' give no network.");
        var run = new RunPhase(phase.Name, phase.Epochs, phase.LearningRate, network);
        run.CheckSameLayers(given);
        for (int i = 0; i < given.Nodes.Count; i++)
        {
            if (given.Nodes[i].IsFrozen && !network.Nodes[i].IsFrozen)
                throw new ArgumentException(
                    $"Phase '{phase.Name}' unfreezes '{given.Nodes[i].Path}', "
                    + "which is frozen in the network that was given.");
        }
        return run;
    }
}
