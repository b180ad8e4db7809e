using Microsoft.ML.BatchNorm.TorchSharp;

namespace Microsoft.ML.BatchNorm.Testing;

/// <summary>A network that is trained for 200 steps, on the shares of all ranks.</summary>
/// <param name="network">The network.</param>
sealed class RankLesson(Network network)
{
    const int Rows = 400;

    public static readonly Dictionary<string, RankLesson> All = new()
    {
        ["dense"] = new(
            Network.Input(20).Dense(64).BatchNormalization().ReLU().Dense(32).BatchNormalization().ReLU().Dense(3)),
        ["dropout"] = new(Network.Input(12).Dense(24).BatchNormalization().ReLU().Dropout(0.2).Dense(3)),
        ["convolution"] = new(
            Network.Input(2, 6, 6).Conv2D(8, kernelSize: 3, useBias: false).BatchNormalization().ReLU().Flatten()
                .Dense(3)),
    };

    static readonly TrainingOptions options = new()
    {
        Optimizer = Optimizer.Sgd(0.02),
        Epochs = 20,
        BatchSize = 40,
        RecomputeStatistics = true,
        Seed = 5,
    };

    public Network Network => network;

    public TrainingResult Train(
        ICollective? ranks, string? checkpoint = null, Action<int>? onRead = null, CancellationToken stop = default) =>
        Train(new CpuEngine(1, ranks), ranks, checkpoint, onRead, stop);

    public TrainingResult TrainWithTorch(ICollective? ranks) =>
        Train(new TorchEngine("cpu", collective: ranks), ranks, null, null, default);

    TrainingResult Train(
        ITrainingEngine engine, ICollective? ranks, string? checkpoint, Action<int>? onRead, CancellationToken stop) =>
        NetworkTrainer.Train(
            network, network.Initialize(1), Data(ranks, onRead), options with { CheckpointPath = checkpoint },
            engine: engine, cancellationToken: stop);

    public TrainingResult Resume(ICollective ranks, string checkpoint)
    {
        using FileStream file = File.OpenRead(checkpoint);
        return NetworkTrainer.Resume(
            TrainingCheckpoint.Load(file), Data(ranks, null), engine: new CpuEngine(1, ranks));
    }

    /// <summary>Cancels the training on the last rank, in its third epoch.</summary>
    public TrainingCheckpoint Cancel(ICollective ranks)
    {
        using var stop = new CancellationTokenSource();
        try
        {
            Train(
                ranks, onRead: number =>
                {
                    if (ranks.Rank == ranks.Size - 1 && number == 25)
                        stop.Cancel();
                },
                stop: stop.Token);
        }
        catch (TrainingCanceledException canceled)
        {
            return canceled.Checkpoint;
        }
        throw new InvalidOperationException("The training was not canceled.");
    }

    TrainingData Data(ICollective? ranks, Action<int>? onRead)
    {
        var whole = new TrainingData(new MadeRows(network.InputShape.Size, onRead ?? (_ => { })));
        return ranks is null ? whole : whole.Share(ranks);
    }

    sealed class MadeRows(int features, Action<int> onRead) : ITrainingRows
    {
        int readings;

        public int Rows => RankLesson.Rows;

        public int FeaturesPerRow => features;

        public int TargetsPerRow => 1;

        public bool HasWeights => false;

        public void Read(ReadOnlySpan<int> rows, Span<float> values, Span<float> targets, Span<float> weights)
        {
            onRead(readings++);
            for (int i = 0; i < rows.Length; i++)
            {
                for (int slot = 0; slot < features; slot++)
                    values[i * features + slot] = MathF.Sin(17 * rows[i] + 3 * slot) + rows[i] % 3 * (slot % 2);
                targets[i] = rows[i] % 3;
            }
        }
    }
}
