using System.Collections.Immutable;
using System.Diagnostics.Contracts;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Where a run stands between two steps: all that <see cref="NetworkTrainer.Resume"/> needs besides the data to end
/// with the same bits as an uninterrupted run. An immutable value.
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

    /// <summary>The options of the run.</summary>
    public TrainingOptions Options => Setup.Options with { StandardizesTargets = false };

    /// <summary>The parameters that the network has learned so far.</summary>
    public NetworkState State => position.State;

    /// <summary>The epochs that are over.</summary>
    public ImmutableArray<EpochResult> History => position.History;

    /// <summary>
    /// How far the moving statistics were from the exact ones at the ends of these epochs, layer by layer; empty
    /// without <see cref="TrainingOptions.RecordStatistics"/>.
    /// </summary>
    public ImmutableArray<StatisticsDistance> StatisticsHistory => position.Statistics;

    /// <summary>The name of the current phase of a <see cref="FineTuningPlan"/>; empty without a plan.</summary>
    public string Phase => Setup.Phases[position.Phase].Name;

    /// <summary>The current epoch in its phase, from 1.</summary>
    public int Epoch => position.Epoch + 1;

    /// <summary>The steps that were taken in this epoch.</summary>
    public long Step => position.Step;

    /// <summary>
    /// This checkpoint with another number of epochs in the last phase of its run. With a greater number, a finished
    /// run can go on.
    /// </summary>
    /// <param name="epochs">
    /// The number of all epochs of the phase, those that are over included. A schedule over the whole run, such as
    /// <see cref="LearningRateSchedule.Cosine"/>, uses the new number from here on.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// More epochs are over already, or the value is not positive.
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
    /// This checkpoint with another <see cref="TrainingOptions.CheckpointPath"/> for its run, or null for none. A
    /// checkpoint that was loaded has none, since the path is not stored.
    /// </summary>
    [Pure]
    public TrainingCheckpoint WithCheckpointPath(string? path) =>
        new(Setup with { Options = Setup.Options with { CheckpointPath = path } }, position);
}
