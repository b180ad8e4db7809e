namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>No tensor outlives the step, fit or session that it belongs to.</summary>
[TestClass]
public class MemoryTests
{
    static readonly Network network = Network.Input(2, 6, 6).Conv2D(3, 3).BatchNormalization().ReLU().MaxPool2D()
        .BatchNormalization(BatchNormalizationOptions.Keras with { VirtualBatchSize = 4 }).Flatten().Dropout(0.2)
        .Dense(3);

    [TestMethod]
    [DataRow(2L << 30)]
    [DataRow(0L)]
    public void Two_hundred_epochs_leave_no_more_tensors_than_one(long bytesOnDevice)
    {
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 24, weighted: true);
        using ITrainingSession session = new TorchEngine("cpu", new() { DataBytesOnDevice = bytesOnDevice })
            .Start(network, network.Initialize(), new() { GradientClipNorm = 1 }, data);
        Epoch(session, data);
        long before = Live();
        for (int epoch = 0; epoch < 200; epoch++)
            Epoch(session, data);
        Assert.AreEqual(before, Tensor.TotalCount);
    }

    [TestMethod]
    public void Steps_of_several_ranks_leave_nothing_behind()
    {
        Network plain = Network.Input(2, 6, 6).Conv2D(3, 3).BatchNormalization().ReLU().Flatten().Dropout(0.2).Dense(3);
        TrainingData data = Runs.Data(plain, Loss.SoftmaxCrossEntropy, 24);
        Train(1);
        long before = Live();
        Train(20);
        Assert.AreEqual(before, Live());

        void Train(int epochs) => ThreadCollective.Run(3, ranks =>
        {
            using ITrainingSession session = new TorchEngine("cpu", collective: ranks)
                .Start(plain, plain.Initialize(), new() { GradientClipNorm = 1 }, data.Share(ranks));
            for (int epoch = 0; epoch < epochs; epoch++)
            {
                foreach (int[] batch in Enumerable.Range(0, 24).Chunk(10))
                    session.TrainOnBatch(batch, 0.01);
            }
            session.RecomputeStatistics([.. Enumerable.Range(0, 24)]);
            return 0;
        });
    }

    [TestMethod]
    public void A_session_leaves_nothing_behind()
    {
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 24);
        Session(data);
        long before = Live();
        Session(data);
        Assert.AreEqual(before, Tensor.TotalCount);
    }

    [TestMethod]
    public void A_session_in_a_dispose_scope_outlives_it()
    {
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 24);
        ITrainingSession session;
        using (torch.NewDisposeScope())
            session = new TorchEngine("cpu").Start(network, network.Initialize(), new(), data);
        using (session)
            Epoch(session, data);
    }

    [TestMethod]
    public void A_fit_of_statistics_leaves_nothing_behind()
    {
        var options = new BatchNormalizationOptions { VirtualBatchSize = 3 };
        Fit(options);
        long before = Live();
        Fit(options);
        Assert.AreEqual(before, Tensor.TotalCount);
    }

    [TestMethod]
    public void A_step_that_fails_leaves_nothing_behind()
    {
        Network plain = Network.Input(4).Dense(3);
        TrainingData data = Runs.Data(plain, Loss.MeanSquaredError, 8);
        using ITrainingSession session = new TorchEngine("cpu").Start(
            plain, plain.Initialize(), new() { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd() }, data);
        session.TrainOnBatch([0, 1], 1e30);
        Fail();
        long before = Live();
        Fail();
        Assert.AreEqual(before, Tensor.TotalCount);

        void Fail() => Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch([2, 3], 0.1));
    }

    [TestMethod]
    public void Garbage_collections_at_any_time_change_no_bit()
    {
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 24, weighted: true);
        NetworkState expected = Trained();
        using var stop = new CancellationTokenSource();
        Task collections = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        });
        NetworkState actual;
        try
        {
            actual = Trained();
        }
        finally
        {
            stop.Cancel();
            collections.Wait();
        }
        Assert.AreEqual(expected, actual);

        NetworkState Trained()
        {
            using ITrainingSession session = new TorchEngine("cpu")
                .Start(network, network.Initialize(), new() { GradientClipNorm = 1 }, data);
            for (int epoch = 0; epoch < 60; epoch++)
                Epoch(session, data);
            return session.GetState();
        }
    }

    /// <summary>The number of live tensors, without those of other tests that only a collection ends.</summary>
    static long Live()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return Tensor.TotalCount;
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_TorchScript_module_leaves_nothing_behind(bool learns)
    {
        Network script = TorchScriptTests.network;
        script = learns ? script.Unfreeze("base") : script;
        TrainingData data = Runs.Data(script, Loss.SoftmaxCrossEntropy, 24);
        Run();
        long before = Live();
        Run();
        Assert.AreEqual(before, Tensor.TotalCount);

        void Run()
        {
            using ITrainingSession session =
                new TorchEngine("cpu").Start(script, TorchScriptTests.state, new(), data);
            Epoch(session, data);
            Epoch(session, data);
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Recomputed_statistics_of_a_module_leave_nothing_behind(bool calls)
    {
        using var module = new Switches.Branches(4, count: 2, calls);
        using Tensor batch = Switches.FreezeTests.Input(1);
        Run();
        long before = Live();
        Run();
        Assert.AreEqual(before, Tensor.TotalCount);

        void Run()
        {
            // TorchSharp's modules give a new tensor each time one of theirs is asked for.
            using var scope = torch.NewDisposeScope();
            if (calls)
                module.RecomputeStatistics([batch]);
            else
                Assert.ThrowsExactly<InvalidOperationException>(() => module.RecomputeStatistics([batch]));
            module.RecomputeStatistics([batch], onePass: true);
        }
    }

    static void Epoch(ITrainingSession session, TrainingData data)
    {
        Runs.Train(session, data.Rows, batchSize: 10);
        session.Predict(data.Features.Span, new float[data.Rows * 3]);
        session.RecomputeStatistics([0, 1, 2, 3, 4]);
        session.SetOptimizerState(session.GetOptimizerState());
        session.GetState();
    }

    static void Session(TrainingData data)
    {
        using ITrainingSession session = new TorchEngine("cpu").Start(network, network.Initialize(), new(), data);
        Epoch(session, data);
    }

    static void Fit(BatchNormalizationOptions options)
    {
        using IStatisticsFit fit = new TorchEngine("cpu").StartFit(options, BatchNormalization.Initialize(options, 4));
        fit.Add(ChannelLayout.Features(10, 4), Sample.Floats(40, 1));
        fit.Complete();
    }
}
