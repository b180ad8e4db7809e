using System.Collections.Immutable;
using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Where a run stands between two steps: all that <see cref="NetworkTrainer.Resume"/> needs besides the data to come to
/// the same bits as if it had never been broken. An immutable value.
/// </summary>
public sealed partial class TrainingCheckpoint
{
    readonly RunPosition position;

    internal TrainingCheckpoint(RunSetup setup, RunPosition position)
    {
        Setup = setup;
        this.position = position;
    }

    internal RunSetup Setup { get; }

    internal RunPosition Position => position;

    /// <summary>The network as it was given, with its own switches.</summary>
    public Network Network => Setup.Network;

    /// <summary>How it is trained.</summary>
    public TrainingOptions Options => Setup.Options with { StandardizesTargets = false };

    /// <summary>What it has learned so far.</summary>
    public NetworkState State => position.State;

    /// <summary>The epochs that are over.</summary>
    public ImmutableArray<EpochResult> History => position.History;

    /// <summary>
    /// How far the moving statistics were from the exact ones at the ends of these epochs, layer by layer; empty
    /// without <see cref="TrainingOptions.RecordStatistics"/>.
    /// </summary>
    public ImmutableArray<StatisticsDistance> StatisticsHistory => position.Statistics;

    /// <summary>The phase's name of a <see cref="FineTuningPlan"/>; empty without a plan.</summary>
    public string Phase => Setup.Phases[position.Phase].Name;

    /// <summary>The epoch in its phase, from 1, that the run stands in.</summary>
    public int Epoch => position.Epoch + 1;

    /// <summary>The steps that were taken in this epoch.</summary>
    public long Step => position.Step;

    /// <summary>
    /// The same checkpoint in a run whose last phase has that many epochs: how a finished run is prolonged.
    /// </summary>
    /// <param name="epochs">
    /// All epochs of the phase, those that are over counted. A schedule over the whole run, such as
    /// <see cref="LearningRateSchedule.Cosine"/>, goes by the new number from here on.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// As many are over already, and more; or the value is not positive.
    /// </exception>
    [Pure]
    public TrainingCheckpoint WithEpochs(int epochs)
    {
        int over = position.Phase == Setup.Phases.Length - 1 ? position.Epoch : 1;
        return epochs >= Math.Max(1, over)
            ? new TrainingCheckpoint(Setup.WithEpochs(epochs), position)
            : throw Check.OutOfRange(epochs, nameof(epochs), $"at least {Math.Max(1, over)}");
    }

    /// <summary>
    /// The same checkpoint in a run that saves itself at another path, or at none. A loaded checkpoint has none: a
    /// path is not stored.
    /// </summary>
    [Pure]
    public TrainingCheckpoint WithCheckpointPath(string? path) =>
        new(Setup with { Options = Setup.Options with { CheckpointPath = path } }, position);
}
