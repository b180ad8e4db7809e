using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>A finished run. An immutable value.</summary>
public sealed class TrainingResult
{
    internal TrainingResult(TrainingCheckpoint checkpoint, NetworkState state, bool stoppedEarly, int bestEpoch)
    {
        Checkpoint = checkpoint;
        State = state;
        StoppedEarly = stoppedEarly;
        BestEpoch = bestEpoch;
    }

    /// <summary>The network as it was given, with its own switches.</summary>
    public Network Network => Checkpoint.Network;

    /// <summary>
    /// What it has learned; those of the best epoch where <see cref="EarlyStopping.RestoreBest"/> asks for it.
    /// </summary>
    public NetworkState State { get; }

    /// <summary>All epochs, in the order in which they were run.</summary>
    public ImmutableArray<EpochResult> History => Checkpoint.History;

    /// <summary>
    /// How far the moving statistics were from the exact ones, epoch by epoch and layer by layer; empty without
    /// <see cref="TrainingOptions.RecordStatistics"/>.
    /// </summary>
    public ImmutableArray<StatisticsDistance> StatisticsHistory => Checkpoint.StatisticsHistory;

    /// <summary>
    /// Whether <see cref="TrainingOptions.EarlyStopping"/> ended the run, or the last phase of a plan.
    /// </summary>
    public bool StoppedEarly { get; }

    /// <summary>
    /// The epoch, from 1, of the lowest validation loss in the last phase; the last epoch where nothing is validated.
    /// </summary>
    public int BestEpoch { get; }

    /// <summary>
    /// The end of the run as a checkpoint: the last epoch's parameters and optimizer, the best epoch's parameters, and
    /// the history. With <see cref="TrainingCheckpoint.WithEpochs"/> the run goes on from there.
    /// </summary>
    public TrainingCheckpoint Checkpoint { get; }

    /// <summary>Writes <see cref="Checkpoint"/>.</summary>
    /// <inheritdoc cref="TrainingCheckpoint.Save"/>
    public void SaveCheckpoint(Stream stream) => Checkpoint.Save(stream);
}
