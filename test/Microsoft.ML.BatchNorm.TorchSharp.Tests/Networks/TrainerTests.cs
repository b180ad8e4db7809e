namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>
/// A whole run by <see cref="NetworkTrainer"/> on this engine: progress, checkpoints, cancellation, divergence.
/// </summary>
[TestClass]
public class TrainerTests
{
    static readonly Network network = Network.Input(5).Dense(8, useBias: false).BatchNormalization().ReLU().Dense(3);

    static readonly TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 90);

    static readonly TrainingOptions options = new()
    {
        Epochs = 4, BatchSize = 20, Optimizer = Optimizer.Sgd(0.05, momentum: 0.9), RecomputeStatistics = true,
        GradientClipNorm = 5,
    };

    static readonly TorchEngine engine = new("cpu");

    [TestMethod]
    public void A_run_agrees_with_the_core_s_engine()
    {
        TrainingResult torch = NetworkTrainer.Train(network, network.Initialize(), data, options, engine: engine);
        TrainingResult core =
            NetworkTrainer.Train(network, network.Initialize(), data, options, engine: new CpuEngine());
        Runs.Agree(2e-5, network, core.State, torch.State);
        for (int i = 0; i < 4; i++)
            Assert.AreEqual(core.History[i].Loss, torch.History[i].Loss, 1e-5);
    }

    [TestMethod]
    public void A_canceled_run_continues_from_its_checkpoint_to_the_same_bits()
    {
        TrainingResult whole = NetworkTrainer.Train(network, network.Initialize(), data, options, engine: engine);
        using var cancellation = new CancellationTokenSource();
        var progress = new CancelAt(cancellation, epoch: 2);
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            network, network.Initialize(), data, options, engine: engine, progress: progress,
            cancellationToken: cancellation.Token));
        TrainingResult resumed = NetworkTrainer.Resume(canceled.Checkpoint, data, engine: engine);
        Assert.AreEqual(whole.State, resumed.State);
    }

    [TestMethod]
    [DataRow(2L << 30)]
    [DataRow(0L)]
    public void A_run_that_diverges_returns_the_last_good_state(long bytesOnDevice)
    {
        var streamed = new TorchEngine("cpu", new() { DataBytesOnDevice = bytesOnDevice });
        Network plain = Network.Input(5).Dense(3);
        var error = Assert.ThrowsExactly<TrainingDivergedException>(() => NetworkTrainer.Train(
            plain, plain.Initialize(), Runs.Data(plain, Loss.MeanSquaredError, 90),
            new() { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(1e30) }, engine: streamed));
        // The first step is finite; the second, on parameters of about 1e30, is not, whenever that is seen.
        Assert.AreEqual((1, 2L), (error.Epoch, error.Step));
        Assert.IsNotNull(error.LastGoodState);
        plain.CheckState(error.LastGoodState);
    }

    [TestMethod]
    public void Fine_tuning_on_a_frozen_base_agrees_with_the_core_s_engine()
    {
        Network inner = Network.Input(5).Dense(8, useBias: false).BatchNormalization().ReLU();
        Network whole = Network.Input(5).Append(inner, "base").Dense(3).Freeze("base");
        FineTuningPlan plan = FineTune.HeadThenAll(2, 2, 0.05, 0.01);
        NetworkState Train(ITrainingEngine engine) =>
            NetworkTrainer.Train(whole, whole.Initialize(), data, options, plan, engine: engine).State;
        Runs.Agree(2e-5, whole, Train(new CpuEngine()), Train(engine));
    }

    internal sealed class CancelAt(CancellationTokenSource cancellation, int epoch) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.IsEndOfEpoch && value.Epoch == epoch)
                cancellation.Cancel();
        }
    }
}
