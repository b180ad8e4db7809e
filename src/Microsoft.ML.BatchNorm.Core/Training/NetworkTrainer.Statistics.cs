using System.Diagnostics.Contracts;
using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm;

public static partial class NetworkTrainer
{
    /// <summary>
    /// Replaces the moving statistics of every batch normalization that trains by the exact ones of the given rows,
    /// layer after layer, as <see cref="TrainingOptions.RecomputeStatistics"/> does when a run ends. Rows need no
    /// targets: it is how a network follows new data of which nothing is labelled.
    /// </summary>
    /// <param name="network">The network; layers that its switches keep from moving keep their statistics.</param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="features">Row after row, as many values each as the network has inputs; at least one row.</param>
    /// <param name="engine">Where to compute; null for a <see cref="CpuEngine"/>.</param>
    /// <returns>The state with the new statistics; kernels, biases, γ and β are those of before.</returns>
    /// <exception cref="ArgumentException">
    /// The state or the features do not fit the network, or the switches let no statistics move.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A feature is not finite where that is an error, or a channel has a single value and the options have the sample
    /// variance.
    /// </exception>
    /// <exception cref="NotSupportedException">The engine cannot run one of the layers; it is named.</exception>
    [Pure]
    public static NetworkState RecomputeStatistics(
        Network network, NetworkState state, ReadOnlyMemory<float> features, ITrainingEngine? engine = null)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        network.CheckState(state);
        TrainingData data = TrainingData.WithoutTargets(network, features);
        if (!network.Nodes.Any(node => node.MovesStatistics))
            throw new ArgumentException(
                "No statistics of the network move: it has no batch normalization, or Trainable or UpdateStatistics is "
                + "false for all of them. Unfreeze those to recompute.", nameof(network));
        using ITrainingSession session = (engine ?? new CpuEngine()).Start(network, state, new TrainingOptions(), data);
        session.RecomputeStatistics(new RowSet(data));
        return session.GetState();
    }
}
