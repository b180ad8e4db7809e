namespace Microsoft.ML.BatchNorm.Training;

/// <summary>
/// Moving statistics against the exact ones of the training rows, in a session beside the one that trains.
/// </summary>
static class StatisticsProbe
{
    /// <summary>One entry a layer whose statistics move in the phase, in the network's order.</summary>
    public static IEnumerable<StatisticsDistance> Measure(
        RunContext context, RunPhase phase, TrainingOptions options, NetworkState state, int epoch)
    {
        NetworkNode[] moving = [.. phase.Network.Nodes.Where(node => node.MovesStatistics)];
        if (moving.Length == 0)
            return [];
        using ITrainingSession session = context.Engine.Start(phase.Network, state, options, context.Data.Data);
        session.RecomputeStatistics(context.Data.TrainingRows);
        NetworkState exact = session.GetState();
        return [.. moving.Select(node => StatisticsDistance.Between(
            phase.Name, epoch, node.Path, state[node.Path].BatchNormalization!, exact[node.Path].BatchNormalization!,
            ((BatchNormalizationLayer)node.Layer).Options.Epsilon))];
    }
}
