namespace Microsoft.ML.BatchNorm;

public sealed partial class Network
{
    /// <summary>
    /// Takes a batch through the network, in the mode that <paramref name="training"/> and the layers' switches give:
    /// state in, outputs and next state out. Nothing learns; in training mode moving statistics move as in one step of
    /// training. <see cref="NetworkModel"/> is the way to predict often.
    /// </summary>
    /// <param name="state">The state before; it does not change.</param>
    /// <param name="features">
    /// Row after row, as many values each as the network has inputs; at least one row. In training mode, all rows are
    /// one batch.
    /// </param>
    /// <param name="training">
    /// Whether training mode is asked for: batch statistics and dropout. A batch normalization that is frozen, or whose
    /// statistics are, stays in inference mode.
    /// </param>
    /// <param name="seed">
    /// Seeds dropout in training mode: what a run of that <see cref="TrainingOptions.Seed"/> drops in its first step.
    /// </param>
    /// <param name="threads">How many threads may work; the result has the same bits for any number.</param>
    /// <exception cref="ArgumentException">The state or the features do not fit the network.</exception>
    /// <exception cref="InvalidDataException">
    /// A value is not finite where that is an error, or in training mode a channel has a single value and the options
    /// have the sample variance.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// <see cref="CpuEngine"/> cannot run one of the layers; it is named.
    /// </exception>
    public NetworkForwardPass Forward(
        NetworkState state, ReadOnlyMemory<float> features, bool training, int seed = 0, int threads = 1)
    {
        ArgumentNullException.ThrowIfNull(state);
        Check.Positive(threads, nameof(threads));
        CheckState(state);
        TrainingData data = TrainingData.WithoutTargets(this, features);
        float[] outputs = new float[data.Rows * OutputShape.Size];
        using var session = new TrainingSession(this, state, new TrainingOptions { Seed = seed }, data, threads);
        if (!training)
        {
            session.Predict(features.Span, outputs);
            return new NetworkForwardPass(outputs, state);
        }
        session.Forward(outputs);
        bool moves = Nodes.Any(node => node.MovesStatistics);
        return new NetworkForwardPass(outputs, moves ? session.GetState() : state);
    }
}
