namespace Microsoft.ML.BatchNorm;

/// <summary>A run was canceled before one of its steps. Nothing that it had learned is lost.</summary>
public sealed class TrainingCanceledException : OperationCanceledException
{
    /// <summary>What a run knows.</summary>
    /// <param name="checkpoint">Where it stands.</param>
    /// <param name="cancellationToken">The token that was canceled.</param>
    public TrainingCanceledException(TrainingCheckpoint checkpoint, CancellationToken cancellationToken)
        : base(Text(checkpoint), cancellationToken) => Checkpoint = checkpoint;

    /// <summary>What the network had learned when the run was canceled.</summary>
    public NetworkState State => Checkpoint.State;

    /// <summary>Where the run stands: <see cref="NetworkTrainer.Resume"/> goes on from there.</summary>
    public TrainingCheckpoint Checkpoint { get; }

    static string Text(TrainingCheckpoint checkpoint)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        string phase = checkpoint.Phase.Length == 0 ? "" : $" of phase '{checkpoint.Phase}'";
        return $"Training was canceled in epoch {checkpoint.Epoch}{phase}, after {checkpoint.Step} of its steps.";
    }
}
