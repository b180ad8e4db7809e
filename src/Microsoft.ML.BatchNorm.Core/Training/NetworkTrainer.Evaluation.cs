using Microsoft.ML.BatchNorm.Training;

namespace Microsoft.ML.BatchNorm;

public static partial class NetworkTrainer
{
    /// <summary>
    /// Loss and metric of a network on rows, in inference mode: what a run measures on its validation rows.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="state">Its parameters; they do not change.</param>
    /// <param name="data">The rows, which count by their weights.</param>
    /// <param name="loss">The loss that is measured; it decides on the metric as well.</param>
    /// <param name="engine">Where to predict; null for a <see cref="CpuEngine"/>.</param>
    /// <exception cref="ArgumentException">The state or the data do not fit the network, or each other.</exception>
    /// <exception cref="InvalidDataException">A feature is not finite where that is an error.</exception>
    /// <exception cref="NotSupportedException">The engine cannot run one of the layers; it is named.</exception>
    public static EvaluationResult Evaluate(
        Network network, NetworkState state, TrainingData data, Loss loss, ITrainingEngine? engine = null)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(loss);
        network.CheckState(state);
        data.CheckFits(network, loss);
        var options = new TrainingOptions { Loss = loss };
        using ITrainingSession session = (engine ?? new CpuEngine()).Start(network, state, options, data);
        return new Evaluation(network, options).Of(session, new RowSet(data));
    }
}
