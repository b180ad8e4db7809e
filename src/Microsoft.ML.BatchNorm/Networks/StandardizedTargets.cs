using Microsoft.ML.BatchNorm;

namespace Microsoft.ML.Trainers;

/// <summary>
/// An engine that trains on targets of mean 0 and deviation 1, and returns everything in the targets' own unit. It
/// divides mean and deviation out of the network's head when a session starts, and multiplies them into every state
/// that the session returns. A frozen head is returned with its original bits.
/// </summary>
/// <param name="engine">The engine that trains.</param>
/// <param name="scale">Mean and deviation.</param>
sealed class StandardizedTargets(ITrainingEngine engine, TargetScale scale) : ITrainingEngine
{
    public ICollective? Collective => engine.Collective;

    /// <summary>The name of the engine that trains, by which ranks see whether they have the same.</summary>
    public override string ToString() => engine.ToString()!;

    public ITrainingSession Start(Network network, NetworkState state, TrainingOptions options, TrainingData data)
    {
        var standardized = new TrainingData(data, target => (float)((target - scale.Mean) / scale.Deviation));
        Loss loss = options.Loss is HuberLoss huber
            ? huber with { Delta = huber.Delta / scale.Deviation }
            : options.Loss;
        return new Session(
            engine.Start(network, scale.TakeOut(network, state), options with { Loss = loss }, standardized), scale,
            network, state, loss is MeanAbsoluteErrorLoss ? scale.Deviation : scale.Deviation * scale.Deviation);
    }

    sealed class Session(
        ITrainingSession session, TargetScale scale, Network network, NetworkState given, double lossUnit)
        : ITrainingSession
    {
        public long Steps => session.Steps;

        public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate) =>
            session.TrainOnBatch(rows, learningRate);

        public bool TrainOnBatch(ReadOnlySpan<int> rows, double learningRate, bool wantsToStop) =>
            session.TrainOnBatch(rows, learningRate, wantsToStop);

        public void Prefetch(ReadOnlySpan<int> rows) => session.Prefetch(rows);

        public int ReadLosses(Span<double> losses)
        {
            int count = session.ReadLosses(losses);
            foreach (ref double loss in losses[..count])
                loss *= lossUnit;
            return count;
        }

        public void RecomputeStatistics(IReadOnlyCollection<int> rows) => session.RecomputeStatistics(rows);

        public void SetStatistics(NetworkState state) => session.SetStatistics(state);

        public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
        {
            session.Predict(features, outputs);
            foreach (ref float output in outputs)
                output = (float)(output * scale.Deviation + scale.Mean);
        }

        public NetworkState GetState()
        {
            NetworkState state = session.GetState();
            NetworkNode head = network.Nodes[network.HeadIndex];
            return head.TrainableCount == 0
                ? state.With(head.Path, given[head.Path])
                : scale.PutBack(network, state);
        }

        public OptimizerState GetOptimizerState() => session.GetOptimizerState();

        public void SetOptimizerState(OptimizerState state) => session.SetOptimizerState(state);

        public void Dispose() => session.Dispose();
    }
}

/// <summary>Mean and deviation of targets, and how a network's head absorbs them.</summary>
/// <param name="Mean">The mean, or 0 if the head cannot absorb one.</param>
/// <param name="Deviation">The standard deviation from <paramref name="Mean"/>, positive.</param>
readonly record struct TargetScale(double Mean, double Deviation)
{
    /// <summary>The exact mean and deviation of the targets of some rows, by their weights.</summary>
    /// <param name="data">One target per row.</param>
    /// <param name="rows">The rows that count.</param>
    /// <param name="isCentered">Whether the mean is subtracted; otherwise it is 0.</param>
    /// <param name="ranks">The ranks that have shares of the rows; null for one.</param>
    /// <param name="check">Called before each part of the rows; it may throw.</param>
    public static TargetScale Of(
        TrainingData data, IReadOnlyCollection<int> rows, bool isCentered, ICollective? ranks = null,
        Action? check = null)
    {
        (double weight, double mean, double squares) = ranks.Do(() => Sums(data, rows, isCentered, check));
        if (ranks is not null)
        {
            (double Weight, double Mean, double Squares)[] all = ranks.Gather((weight, mean, squares));
            (weight, mean, squares) = (0, 0, 0);
            foreach ((double Weight, double Mean, double Squares) one in all.Where(one => one.Weight > 0))
            {
                double difference = one.Mean - mean, share = one.Weight / (weight + one.Weight);
                mean += difference * share;
                squares += one.Squares + difference * difference * weight * share;
                weight += one.Weight;
            }
        }
        double deviation = Math.Sqrt(squares / weight);
        return new TargetScale(mean, deviation > 0 && double.IsFinite(deviation) ? deviation : 1);
    }

    /// <summary>The weight of the rows, their mean, and the sum of squared deviations from it.</summary>
    static (double Weight, double Mean, double Squares) Sums(
        TrainingData data, IReadOnlyCollection<int> rows, bool isCentered, Action? check)
    {
        double weight = 0, mean = 0, squares = 0;
        foreach (RowPart part in RowPart.Of(data, rows))
        {
            check?.Invoke();
            for (int row = 0; row < part.Rows.Length; row++)
            {
                double added = part.Weights.IsEmpty ? 1 : part.Weights[row];
                if (added == 0)
                    continue;
                float target = part.Targets[row];
                weight += added;
                double difference = target - mean;
                if (isCentered)
                    mean += difference * added / weight;
                squares += added * difference * (target - mean);
            }
        }
        return (weight, mean, squares);
    }

    /// <summary>
    /// Whether the head can absorb the targets' mean besides their deviation: false if it has no bias or a ReLU
    /// follows; null if it can absorb neither.
    /// </summary>
    public static bool? IsCentered(Network network)
    {
        if (network.FindHead() is not { } head)
            return null;
        bool isCentered = network.Nodes[head].Layer is DenseLayer { UseBias: true } or Conv2DLayer { UseBias: true };
        foreach (NetworkNode node in network.Nodes.Skip(head + 1))
        {
            switch (node.Layer)
            {
                case FlattenLayer or DropoutLayer or GlobalAveragePool2DLayer:
                    break;
                case ActivationLayer { Function: Activation.ReLU or Activation.LeakyReLU }:
                    isCentered = false;
                    break;
                default:
                    return null;
            }
        }
        return isCentered;
    }

    /// <summary>The state whose outputs are <c>(y − mean) / deviation</c> if the given state's are y.</summary>
    public NetworkState TakeOut(Network network, NetworkState state)
    {
        (double mean, double deviation) = this;
        return Map(network, state, weight => weight / deviation, bias => (bias - mean) / deviation);
    }

    /// <summary>The state whose outputs are <c>y · deviation + mean</c> if the given state's are y.</summary>
    public NetworkState PutBack(Network network, NetworkState state)
    {
        (double mean, double deviation) = this;
        return Map(network, state, weight => weight * deviation, bias => bias * deviation + mean);
    }

    static NetworkState Map(
        Network network, NetworkState state, Func<double, double> weight, Func<double, double> bias)
    {
        string head = network.Nodes[network.HeadIndex].Path;
        return state.With(head, new LayerState(
            Array.ConvertAll(state[head].Kernel.ToArray(), value => (float)weight(value)),
            Array.ConvertAll(state[head].Bias.ToArray(), value => (float)bias(value))));
    }
}
