namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>What a session promises beside its numbers.</summary>
[TestClass]
public class SessionTests
{
    static readonly Network network = Network.Input(4).Dense(6).BatchNormalization().ReLU().Dropout(0.3).Dense(3);

    static readonly TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 60);

    static IEnumerable<object[]> Places => [[2L << 30], [0L]];

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void The_same_seed_gives_the_same_bits_and_another_seed_gives_others(long bytesOnDevice)
    {
        NetworkState first = Train(Engine(bytesOnDevice), seed: 1);
        Assert.AreEqual(first, Train(Engine(bytesOnDevice), seed: 1));
        Assert.AreNotEqual(first, Train(Engine(bytesOnDevice), seed: 2));
    }

    [TestMethod]
    public void Whether_the_data_stays_on_the_device_changes_no_bit() =>
        Assert.AreEqual(Train(Engine(2L << 30), seed: 1), Train(Engine(0), seed: 1));

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void Prefetching_changes_no_bit(long bytesOnDevice)
    {
        using ITrainingSession plain = Start(Engine(bytesOnDevice)), told = Start(Engine(bytesOnDevice));
        int[][] batches = [.. Enumerable.Range(0, 60).Chunk(13)];
        told.Prefetch(batches[0]);
        for (int i = 0; i < batches.Length; i++)
        {
            plain.TrainOnBatch(batches[i], 0.1);
            if (i == 2)
                told.Prefetch([1, 2, 3]);
            told.TrainOnBatch(batches[i], 0.1);
            if (i + 1 < batches.Length)
                told.Prefetch(batches[i + 1]);
        }
        Assert.AreEqual(plain.GetState(), told.GetState());
    }

    [TestMethod]
    public void A_session_continues_from_another_s_state_and_optimizer()
    {
        using ITrainingSession whole = Start(Engine());
        Runs.Train(whole, 60, 20, epochs: 2);
        using ITrainingSession first = Start(Engine());
        Runs.Train(first, 60, 20);
        using ITrainingSession second =
            Engine().Start(network, first.GetState(), new() { Optimizer = Optimizer.Adam() }, data);
        second.SetOptimizerState(first.GetOptimizerState());
        Assert.AreEqual(3, second.Steps);
        Runs.Train(second, 60, 20);
        Assert.AreEqual(whole.GetState(), second.GetState());
    }

    [TestMethod]
    public void An_optimizer_s_state_that_does_not_fit_is_an_error()
    {
        using ITrainingSession sgd = Engine().Start(
            network, network.Initialize(), new() { Optimizer = Optimizer.Sgd(momentum: 0.9) }, data);
        Runs.Train(sgd, 60, 20);
        using ITrainingSession adam = Start(Engine());
        var error = Assert.ThrowsExactly<ArgumentException>(() => adam.SetOptimizerState(sgd.GetOptimizerState()));
        StringAssert.Contains(error.Message, "dense/kernel/m");
    }

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void A_step_that_diverges_leaves_everything_as_it_was(long bytesOnDevice)
    {
        Network plain = Network.Input(4).Dense(6, name: "first").ReLU().Dense(3, name: "second");
        using ITrainingSession session = Engine(bytesOnDevice).Start(plain, plain.Initialize(), new()
        {
            Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(),
        }, Runs.Data(plain, Loss.MeanSquaredError, 60));
        session.TrainOnBatch([0, 1, 2], 1e12);
        NetworkState before = session.GetState();
        var error = Assert.ThrowsExactly<TrainingDivergedException>(() =>
        {
            session.TrainOnBatch([3, 4, 5], 0.1);
            session.ReadLosses(new double[4]);
        });
        Assert.AreEqual("", error.Layer);
        Assert.AreEqual(before, session.GetState());
        Assert.AreEqual(1, session.Steps);
        Assert.AreEqual(1, session.ReadLosses(new double[4]));
    }

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void A_step_that_diverges_does_not_affect_later_steps(long bytesOnDevice)
    {
        Network plain = Network.Input(4).Dense(6).BatchNormalization().Dense(3);
        float[] features = data.Features.ToArray();
        features.AsSpan(4 * 6, 4 * 3).Fill(3e38f);
        using ITrainingSession first = Start(), second = Start();
        first.TrainOnBatch([0, 1, 2], 0.1);
        second.TrainOnBatch([0, 1, 2], 0.1);
        Assert.ThrowsExactly<TrainingDivergedException>(() =>
        {
            second.TrainOnBatch([6, 7, 8], 0.1);
            second.ReadLosses(new double[4]);
        });
        first.TrainOnBatch([3, 4, 5], 0.1);
        second.TrainOnBatch([3, 4, 5], 0.1);
        Assert.AreEqual(first.GetState(), second.GetState());

        ITrainingSession Start() => Engine(bytesOnDevice).Start(
            plain, plain.Initialize(), new(), new TrainingData(60, features, data.Targets));
    }

    [TestMethod]
    public void The_error_names_the_layer_whose_output_overflows()
    {
        Network plain = Network.Input(4).Dense(6, name: "first").Dense(3, name: "second");
        NetworkState state = plain.Initialize();
        state = state.With("second", new LayerState(
            Enumerable.Repeat(3e38f, 18).ToArray(), new float[3]));
        using ITrainingSession session =
            Engine().Start(plain, state, new(), Runs.Data(plain, Loss.SoftmaxCrossEntropy, 60));
        Assert.AreEqual(
            "second", Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch([0, 1], 0.1)).Layer);
    }

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void A_feature_that_is_not_finite_is_an_error_that_names_it(long bytesOnDevice)
    {
        float[] features = data.Features.ToArray();
        features[4 * 7 + 2] = float.NegativeInfinity;
        using ITrainingSession session = Engine(bytesOnDevice).Start(
            network, network.Initialize(), new(), new TrainingData(60, features, data.Targets));
        session.TrainOnBatch([0, 1, 2, 3], 0.1);
        NetworkState before = session.GetState();
        var error = Assert.ThrowsExactly<InvalidDataException>(() => session.TrainOnBatch([6, 7, 8], 0.1));
        StringAssert.Contains(error.Message, "row 7, slot 2");
        Assert.AreEqual(before, session.GetState());
        error = Assert.ThrowsExactly<InvalidDataException>(() => session.Predict(features, new float[60 * 3]));
        StringAssert.Contains(error.Message, "row 7, slot 2");
    }

    [TestMethod]
    public void A_LeakyReLU_of_slope_0_turns_minus_infinity_into_0()
    {
        Network leaky = Network.Input(1).Dense(1).LeakyReLU(0);
        NetworkState state = leaky.Initialize().With("dense", new LayerState([-3e38f], [0]));
        using ITrainingSession session = Engine().Start(
            leaky, state, new() { Loss = Loss.MeanSquaredError }, new TrainingData(1, new float[] { 10 }, new float[1]));
        float[] outputs = [1];
        session.Predict([10], outputs);
        Assert.AreEqual(0, outputs[0]);
    }

    [TestMethod]
    public void A_batch_of_one_row_is_an_error_with_the_sample_variance()
    {
        Network plain = Network.Input(4).BatchNormalization(BatchNormalizationOptions.PyTorch).Dense(3);
        using ITrainingSession session = Engine().Start(plain, plain.Initialize(), new(), data);
        var error = Assert.ThrowsExactly<InvalidDataException>(() => session.TrainOnBatch([0], 0.1));
        StringAssert.Contains(error.Message, "batch_normalization");
        Assert.AreEqual(0, session.Steps);
    }

    [TestMethod]
    public void A_batch_of_one_row_trains_with_the_population_variance()
    {
        using ITrainingSession session = Start(Engine());
        using ITrainingSession core = new CpuEngine().Start(
            network.Before("dropout"), network.Before("dropout").Initialize(), new() { Loss = Loss.MeanSquaredError },
            Runs.Data(network.Before("dropout"), Loss.MeanSquaredError, 4));
        session.TrainOnBatch([0], 0.1);
        core.TrainOnBatch([0], 0.1);
        Assert.AreEqual(1, session.Steps);
    }

    [TestMethod]
    public void Row_numbers_lengths_and_class_weights_are_checked()
    {
        using ITrainingSession session = Start(Engine());
        Assert.ThrowsExactly<ArgumentException>(() => session.TrainOnBatch([], 0.1));
        Assert.ThrowsExactly<ArgumentException>(() => session.TrainOnBatch([60], 0.1));
        Assert.ThrowsExactly<ArgumentException>(() => session.Predict(new float[5], new float[3]));
        Assert.ThrowsExactly<ArgumentException>(
            () => Engine().Start(network, network.Initialize(), new() { ClassWeights = [1, 2] }, data));
        Assert.ThrowsExactly<ArgumentException>(
            () => Engine().Start(network.Before("dense"), network.Initialize(), new(), data));
    }

    [TestMethod]
    public void A_disposed_session_throws()
    {
        ITrainingSession session = Start(Engine());
        session.Dispose();
        session.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => session.TrainOnBatch([0, 1], 0.1));
        Assert.ThrowsExactly<ObjectDisposedException>(() => session.GetState());
    }

    [TestMethod]
    public void Outputs_of_a_trained_network_are_those_of_the_core()
    {
        using ITrainingSession session = Start(Engine());
        Runs.Train(session, 60, 20);
        float[] here = new float[60 * 3], there = new float[60 * 3];
        session.Predict(data.Features.Span, here);
        new NetworkModel(network, session.GetState()).Predict(data.Features.Span, there);
        Agreement.Within(1e-5, Sample.Widen(there), here);
    }

    [TestMethod]
    public void Mixed_precision_trains_to_about_the_same_losses()
    {
        var mixed = new TorchEngine("cpu", new() { MixedPrecision = true });
        Network plain = network.Before("dropout").Dense(3);
        using ITrainingSession exact = Engine().Start(plain, plain.Initialize(), new(), data);
        using ITrainingSession rounded = mixed.Start(plain, plain.Initialize(), new(), data);
        double[] first = Runs.Train(exact, 60, 20, epochs: 5), second = Runs.Train(rounded, 60, 20, epochs: 5);
        Agreement.Within(0.02, first, second);
        Assert.IsTrue(first.Zip(second).Any(pair => Math.Abs(pair.First - pair.Second) > 1e-6), "nothing was rounded");
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public void Sessions_and_fits_restore_libtorch_s_number_of_threads(int threads)
    {
        int before = torch.get_num_threads();
        torch.set_num_threads(2);
        try
        {
            using (new CpuThreads(torch.CPU, threads))
                Assert.AreEqual(threads, torch.get_num_threads());
            var engine = new TorchEngine("cpu", new() { Threads = threads });
            Network plain = Network.Input(4).Dense(3);
            using ITrainingSession session = engine.Start(
                plain, plain.Initialize(), new() { Loss = Loss.MeanSquaredError },
                Runs.Data(plain, Loss.MeanSquaredError, 60));
            session.TrainOnBatch([0, 1, 2], 1e30);
            Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch([3, 4, 5], 0.1));
            session.Predict(data.Features.Span, new float[60 * 3]);
            session.RecomputeStatistics([0, 1, 2]);
            session.GetState();
            using IStatisticsFit fit =
                engine.StartFit(new(), BatchNormalization.Initialize(new(), 4));
            fit.Add(ChannelLayout.Features(60, 4), data.Features.Span);
            Assert.AreEqual(2, torch.get_num_threads());
        }
        finally
        {
            torch.set_num_threads(before);
        }
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new TorchEngineOptions { Threads = 0 });
    }

    static TorchEngine Engine(long bytesOnDevice = 2L << 30) => new("cpu", new() { DataBytesOnDevice = bytesOnDevice });

    static ITrainingSession Start(TorchEngine engine, int seed = 0) =>
        engine.Start(network, network.Initialize(), new() { Optimizer = Optimizer.Adam(), Seed = seed }, data);

    static NetworkState Train(TorchEngine engine, int seed)
    {
        using ITrainingSession session = Start(engine, seed);
        Runs.Train(session, 60, 20, epochs: 2);
        return session.GetState();
    }
}
