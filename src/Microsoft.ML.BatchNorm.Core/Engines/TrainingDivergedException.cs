namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A loss or gradient was no longer finite. Nothing of that step was kept; <see cref="LastGoodState"/> is what the
/// network had learned before it.
/// </summary>
public sealed class TrainingDivergedException : InvalidOperationException
{
    /// <summary>What an engine knows: the layer.</summary>
    /// <param name="layer">
    /// The path of the first layer whose output or gradient was not finite; empty for the loss.
    /// </param>
    public TrainingDivergedException(string layer)
        : base($"Training diverged: {Where(layer)} is not finite.") => Layer = layer;

    /// <summary>What a run knows.</summary>
    /// <param name="layer">
    /// The path of the first layer whose output or gradient was not finite; empty for the loss.
    /// </param>
    /// <param name="epoch">The epoch, from 1.</param>
    /// <param name="step">The step in it, from 1.</param>
    /// <param name="lastGoodState">The state before that step.</param>
    /// <param name="innerException">The engine's error.</param>
    public TrainingDivergedException(
        string layer, int epoch, long step, NetworkState? lastGoodState, Exception? innerException = null)
        : base(
            $"Training diverged in epoch {epoch}, step {step}: {Where(layer)} is not finite. "
            + "A lower learning rate, GradientClipNorm, or cleaner data help.", innerException)
    {
        Layer = layer;
        Epoch = epoch;
        Step = step;
        LastGoodState = lastGoodState;
    }

    /// <summary>The path of the first layer whose output or gradient was not finite; empty for the loss.</summary>
    public string Layer { get; }

    /// <summary>The epoch, from 1; 0 where it is not known.</summary>
    public int Epoch { get; }

    /// <summary>The step in it, from 1; 0 where it is not known.</summary>
    public long Step { get; }

    /// <summary>The last state before the numbers went wrong, or null where it is not known.</summary>
    public NetworkState? LastGoodState { get; }

    static string Where(string layer) => layer.Length == 0 ? "the loss" : $"layer '{layer}'";
}
