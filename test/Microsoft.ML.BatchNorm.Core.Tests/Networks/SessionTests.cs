namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>What a session of the CPU engine keeps to: bits, switches, resuming, errors, memory.</summary>
[TestClass]
public sealed class SessionTests
{
    static Network Everything => Network.Input(20).BatchNormalization()
        .Dense(70).BatchNormalization().ReLU().Dropout(0.3)
        .Dense(33, useBias: false).BatchNormalization(BatchNormalizationOptions.PyTorch).Gelu().Dense(5);

    static readonly Optimizer[] Optimizers =
    [
        Optimizer.Sgd(0.1), Optimizer.Sgd(0.1, 0.9), Optimizer.Sgd(0.1, 0.9, nesterov: true), Optimizer.Adam(0.01),
        Optimizer.AdamW(0.01), Optimizer.Adam(0.01) with { WeightDecay = 0.1 },
    ];

    [TestMethod]
    public void Any_number_of_threads_gives_the_same_bits()
    {
        foreach (double? clip in new double?[] { null, 0.1 })
        {
            var lesson = new Lesson(
                Everything, new TrainingOptions { GradientClipNorm = clip }, rows: 500, weighted: true);
            (NetworkState state, double[] losses) = lesson.Train(steps: 6, batch: 333);
            for (int threads = 2; threads <= 4; threads++)
            {
                (NetworkState other, double[] otherLosses) = lesson.Train(steps: 6, batch: 333, threads);
                Assert.AreEqual(state, other, $"{threads} threads");
                Agreement.SameBits<double>(losses, otherLosses, $"{threads} threads, losses");
            }
        }
    }

    [TestMethod]
    public void Inference_and_recomputed_statistics_have_the_same_bits_on_any_number_of_threads() =>
        new Lesson(Everything, rows: 1300).AssertSameBits(upToThreads: 3, steps: 3, batch: 100);

    [TestMethod]
    public void A_resumed_session_takes_the_same_steps_as_one_that_went_on()
    {
        foreach (Optimizer optimizer in Optimizers)
        {
            var lesson = new Lesson(Everything, new TrainingOptions { Optimizer = optimizer }, rows: 100);
            NetworkState whole = lesson.Train(steps: 8, batch: 30).State;
            NetworkState half;
            OptimizerState gathered;
            using (ITrainingSession first = lesson.Start())
            {
                lesson.Step(first, 0, 4, 30);
                (half, gathered) = (first.GetState(), first.GetOptimizerState());
            }
            using ITrainingSession second = new CpuEngine().Start(lesson.Network, half, lesson.Options, lesson.Data);
            second.SetOptimizerState(gathered);
            Assert.AreEqual(4, second.Steps);
            lesson.Step(second, 4, 4, 30);
            Assert.AreEqual(whole, second.GetState(), $"{optimizer}");
        }
    }

    [TestMethod]
    public void The_moments_of_the_optimizer_have_the_layout_and_the_names_of_their_parameters()
    {
        var lesson = new Lesson(
            Network.Input(3).Dense(40).BatchNormalization().Dense(2),
            new TrainingOptions { Optimizer = Optimizer.Sgd(1, momentum: 0.5) });
        using ITrainingSession session = lesson.Start();
        session.TrainOnBatch(lesson.AllRows, 1);
        OptimizerState state = session.GetOptimizerState();
        Dictionary<string, double[]> gradients = lesson.Expected().Gradients;
        CollectionAssert.AreEquivalent(
            gradients.Keys.Select(name => $"{name}/velocity").ToArray(), state.Moments.Keys.ToArray());
        foreach ((string name, double[] gradient) in gradients)
            Agreement.Within(3e-6, gradient, state.Moments[$"{name}/velocity"].AsSpan(), name);
    }

    [TestMethod]
    public void An_optimizer_state_of_other_parameters_or_another_optimizer_is_refused()
    {
        var lesson = new Lesson(Everything);
        using ITrainingSession session = lesson.Start();
        var sgd = new Lesson(Everything, new TrainingOptions { Optimizer = Optimizer.Sgd(0.1, 0.9) });
        var small = new Lesson(Network.Input(20).Dense(5));
        foreach (Lesson other in new[] { sgd, small })
        {
            using ITrainingSession foreign = other.Start();
            other.Step(foreign, 0, 1, 10);
            Assert.ThrowsExactly<ArgumentException>(() => session.SetOptimizerState(foreign.GetOptimizerState()));
        }
        Assert.AreEqual(0, session.Steps);
    }

    [TestMethod]
    public void A_frozen_layer_keeps_every_bit_and_what_is_below_still_computes()
    {
        foreach (string pattern in new[] { "dense", "batch_normalization", "batch_normalization_1", "dense*", "*" })
        {
            var lesson = new Lesson(Everything.Freeze(pattern));
            NetworkState after = lesson.Train(steps: 3, batch: 20).State;
            foreach (NetworkNode node in lesson.Network.Nodes.Where(node => lesson.State.TryGet(node.Path) is not null))
            {
                Assert.AreEqual(
                    !node.IsTrainable, lesson.State[node.Path].Equals(after[node.Path]), $"{pattern}: {node.Path}");
            }
        }
    }

    [TestMethod]
    public void Each_switch_of_a_batch_normalization_keeps_its_half()
    {
        foreach ((bool statistics, bool affine) in new[] { (true, true), (true, false), (false, true), (false, false) })
        {
            var lesson = new Lesson(Everything.WithBatchNormalization(
                options => options with { UpdateStatistics = statistics, TrainAffine = affine }, "*"));
            NetworkState after = lesson.Train(steps: 2, batch: 20).State;
            foreach (NetworkNode node in lesson.Network.Nodes.Where(node => node.Layer is BatchNormalizationLayer))
            {
                BatchNormalizationState old = lesson.State[node.Path].BatchNormalization!;
                BatchNormalizationState now = after[node.Path].BatchNormalization!;
                Assert.AreEqual(statistics, !old.MovingMean.SequenceEqual(now.MovingMean), $"{node.Path}, mean");
                Assert.AreEqual(
                    statistics, !old.MovingVariance.SequenceEqual(now.MovingVariance), $"{node.Path}, variance");
                Assert.AreEqual(affine, !old.Gamma.SequenceEqual(now.Gamma), $"{node.Path}, gamma");
                Assert.AreEqual(affine, !old.Beta.SequenceEqual(now.Beta), $"{node.Path}, beta");
            }
        }
    }

    [TestMethod]
    public void A_channel_whose_other_values_are_ignored_is_an_error_under_the_sample_variance()
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.PyTorch with { NonFinite = NonFinite.Ignore };
        Network network = Network.Input(2).BatchNormalization(options).ReLU().Dense(1);
        NetworkState state = network.Initialize(seed: 1);
        const float ignored = float.NegativeInfinity;
        var data = new TrainingData(3, new[] { 1, 1, ignored, 2, ignored, 3 }, new float[] { 1, 2, 3 });
        var training = new TrainingOptions { Loss = Loss.MeanSquaredError };
        using ITrainingSession session = new CpuEngine().Start(network, state, training, data);

        InvalidDataException error =
            Assert.ThrowsExactly<InvalidDataException>(() => session.TrainOnBatch([0, 1, 2], 0.1));

        StringAssert.StartsWith(error.Message, "Channel 0 of layer 'batch_normalization' has 1 value");
        Assert.AreEqual(state, session.GetState());
    }

    [TestMethod]
    public void A_step_allocates_nothing_whatever_the_size_of_the_batch()
    {
        BatchNormalizationOptions keras = BatchNormalizationOptions.Keras;
        Network images = Network.Input(3, 5, 5)
            .BatchNormalization(keras with { VirtualBatchSize = 30 }).LeakyReLU()
            .BatchNormalization(keras with { Renorm = new(), GammaRegularizer = Regularizer.L2() }, axis: 2).Flatten()
            .BatchNormalization(
                keras with { MovingStatistics = MovingStatistics.Population, NonFinite = NonFinite.Ignore })
            .BatchNormalization(keras with { UpdateStatistics = false }).Tanh().Dense(5);
        AllocatesNothing(Optimizer.Adam(), images);
        foreach (Optimizer optimizer in Optimizers)
            AllocatesNothing(optimizer, Everything.Add(new ActivationLayer(Activation.Sigmoid)));

        static void AllocatesNothing(Optimizer optimizer, Network network)
        {
            var lesson = new Lesson(
                network, new TrainingOptions { Optimizer = optimizer, GradientClipNorm = 1 }, rows: 300,
                weighted: true);
            using ITrainingSession session = lesson.Start(threads: 2);
            double[] losses = new double[100];
            Epoch();
            Assert.AreEqual(0, Allocation.OfWarm(Epoch), $"{optimizer}");

            void Epoch()
            {
                session.TrainOnBatch(lesson.AllRows.AsSpan(0, 129), 0.01);
                session.TrainOnBatch(lesson.AllRows.AsSpan(129, 128), 0.01);
                session.TrainOnBatch(lesson.AllRows.AsSpan(257, 43), 0.01);
                session.ReadLosses(losses);
            }
        }
    }

    [TestMethod]
    public void Losses_are_read_in_their_order_however_many_wait()
    {
        var lesson = new Lesson(Network.Input(4).Dense(3), rows: 8);
        double[] expected = lesson.Train(steps: 3000, batch: 2).Losses;
        using ITrainingSession session = lesson.Start();
        double[] losses = new double[3000];
        int read = 0;
        for (int step = 0; step < 3000; step++)
        {
            lesson.Step(session, step, 1, 2);
            if (step % 7 == 0)
                read += session.ReadLosses(losses.AsSpan(read, 1));
        }
        read += session.ReadLosses(losses.AsSpan(read));
        Assert.AreEqual(3000, read);
        Agreement.SameBits<double>(expected, losses);
    }

    [TestMethod]
    public void A_session_that_is_disposed_of_refuses_work_and_can_be_disposed_of_again()
    {
        var lesson = new Lesson(Everything);
        ITrainingSession session = lesson.Start(threads: 3);
        lesson.Step(session, 0, 1, 10);
        session.Dispose();
        session.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => session.TrainOnBatch(lesson.AllRows, 0.1));
        Assert.ThrowsExactly<ObjectDisposedException>(() => session.GetState());
        Assert.ThrowsExactly<ObjectDisposedException>(() => session.Predict(lesson.Features, new float[200]));
        Assert.ThrowsExactly<ObjectDisposedException>(() => session.RecomputeStatistics(lesson.AllRows));
    }

    [TestMethod]
    public void A_state_or_data_of_another_network_is_refused()
    {
        var lesson = new Lesson(Everything);
        var other = new Lesson(Network.Input(4).Dense(3));
        var engine = new CpuEngine();
        Assert.ThrowsExactly<ArgumentException>(
            () => engine.Start(lesson.Network, other.State, lesson.Options, lesson.Data));
        Assert.ThrowsExactly<ArgumentException>(
            () => engine.Start(lesson.Network, lesson.State, lesson.Options, other.Data));
        using ITrainingSession session = lesson.Start();
        Assert.ThrowsExactly<ArgumentException>(() => session.TrainOnBatch([0, 40], 0.1));
        Assert.ThrowsExactly<ArgumentException>(() => session.TrainOnBatch([-1], 0.1));
        Assert.ThrowsExactly<ArgumentException>(() => session.TrainOnBatch([], 0.1));
        Assert.ThrowsExactly<ArgumentException>(() => session.Predict(new float[21], new float[5]));
        Assert.ThrowsExactly<ArgumentException>(() => session.Predict(new float[20], new float[4]));
    }
}
