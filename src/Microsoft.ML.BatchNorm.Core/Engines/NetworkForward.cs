namespace Microsoft.ML.BatchNorm;

/// <summary>Runs networks forward on this process's threads.</summary>
public static class NetworkForward
{
    /// <summary>
    /// Runs a batch through the network, in the mode that <paramref name="training"/> and the layers' switches give,
    /// and returns the outputs and the next state. Nothing learns; in training mode moving statistics move as in one
    /// step of training. To predict often, use <see cref="NetworkModel"/>.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="state">The state before the call; it does not change.</param>
    /// <param name="features">
    /// Row after row, as many values each as the network has inputs; at least one row. In training mode, all rows are
    /// one batch.
    /// </param>
    /// <param name="training">
    /// Whether training mode is asked for: batch statistics and dropout. A batch normalization that is frozen, or whose
    /// statistics are, stays in inference mode.
    /// </param>
    /// <param name="seed">
    /// The seed of dropout in training mode: the call drops what a run with that <see cref="TrainingOptions.Seed"/>
    /// drops in its first step.
    /// </param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <exception cref="ArgumentException">The state or the features do not fit the network.</exception>
    /// <exception cref="InvalidDataException">
    /// A value is not finite where that is an error, or in training mode a channel has a single value and the options
    /// ask for the sample variance.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// <see cref="CpuEngine"/> cannot run one of the layers; the message names the layer.
    /// </exception>
    public static NetworkForwardPass Forward(
        this Network network, NetworkState state, ReadOnlyMemory<float> features, bool training, int seed = 0,
        int threads = 1)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        Check.Positive(threads, nameof(threads));
        network.CheckState(state);
        TrainingData data = TrainingData.WithoutTargets(network, features);
        float[] outputs = new float[data.Rows * network.OutputShape.Size];
        using var session = new TrainingSession(network, state, new TrainingOptions { Seed = seed }, data, threads);
        if (!training)
        {
            session.Predict(features.Span, outputs);
            return new NetworkForwardPass(outputs, state);
        }
        session.Forward(outputs);
        bool moves = network.Nodes.Any(node => node.MovesStatistics);
        return new NetworkForwardPass(outputs, moves ? session.GetState() : state);
    }
}

/// <summary>The result of <see cref="NetworkForward.Forward"/>.</summary>
/// <param name="Outputs">One row of outputs for each row of features, row after row.</param>
/// <param name="NextState">
/// The state after the call; it is the same object as before the call if no statistic moved.
/// </param>
public sealed record NetworkForwardPass(float[] Outputs, NetworkState NextState);
