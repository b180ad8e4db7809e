namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>What a session of the CPU engine keeps to where rows are images.</summary>
[TestClass]
public sealed class ImageSessionTests
{
    static Network Images => Network.Input(3, 12, 10)
        .Conv2D(18, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D(3, stride: 2, padding: 1)
        .Conv2D(34, (3, 2), stride: (1, 2), padding: 1).BatchNormalization().LeakyReLU().Conv2D(20, 1).ReLU()
        .AveragePool2D(2, stride: 1).Dropout(0.2).GlobalAveragePool2D().Dense(4);

    [TestMethod]
    public void Any_number_of_threads_gives_the_same_bits() =>
        new Lesson(Images, rows: 90).AssertSameBits(upToThreads: 4, steps: 4, batch: 75);

    [TestMethod]
    public void Large_images_are_cut_into_blocks_of_few_rows_and_keep_their_bits()
    {
        Network network = Network.Input(2, 40, 50).Conv2D(33, 3, stride: 2).BatchNormalization().ReLU()
            .MaxPool2D().GlobalAveragePool2D().Dense(3);
        var lesson = new Lesson(network, rows: 37);
        NetworkState one = lesson.Train(steps: 3, batch: 35).State;
        for (int threads = 2; threads <= 4; threads++)
            Assert.AreEqual(one, lesson.Train(steps: 3, batch: 35, threads).State, $"{threads} threads");
    }

    [TestMethod]
    public void Inference_is_that_of_the_formulas_with_the_moving_statistics()
    {
        Network network = Network.Of(
            Images.InputShape, Images.Nodes.Select(node => node.Layer).Where(layer => layer is not DropoutLayer));
        var lesson = new Lesson(network, rows: 130);
        using ITrainingSession session = lesson.Start(threads: 2);
        lesson.Step(session, 0, 3, 20);
        float[] outputs = new float[4 * 130];
        session.Predict(lesson.Features, outputs);
        double[] expected = new NaiveNetwork(network, session.GetState())
            .Forward(Sample.Widen(lesson.Features), 130, training: false);
        Agreement.Within(3e-6, expected, outputs);
    }

    [TestMethod]
    public void Kernels_keep_their_bits_through_a_session()
    {
        var lesson = new Lesson(Images);
        using ITrainingSession session = lesson.Start();
        Assert.AreEqual(lesson.State, session.GetState());
    }

    [TestMethod]
    public void A_frozen_layer_keeps_every_bit_and_the_others_learn_as_they_did()
    {
        foreach (string pattern in new[] { "conv2d", "conv2d_1", "conv2d*", "*_normalization*", "dense", "*" })
        {
            Network frozen = Images.Freeze(pattern);
            var lesson = new Lesson(frozen, rows: 30);
            NetworkState after = lesson.Train(steps: 2, batch: 20).State;
            foreach (NetworkNode node in frozen.Nodes.Where(node => lesson.State.TryGet(node.Path) is not null))
            {
                Assert.AreEqual(
                    !node.IsTrainable, lesson.State[node.Path].Equals(after[node.Path]), $"{pattern}: {node.Path}");
            }
        }
        Network smooth = Network.Of(
            Images.InputShape, Images.Nodes.Select(node => node.Layer).Where(layer => layer is not DropoutLayer));
        GradientTests.Compare(new Lesson(smooth.Freeze("conv2d_1"), rows: 6), "a frozen layer in the middle");
        GradientTests.Compare(
            new Lesson(smooth.Freeze("conv2d", "batch_normalization"), rows: 6), "frozen layers below");
    }

    [TestMethod]
    public void A_step_allocates_nothing_after_the_first_epoch()
    {
        var lesson = new Lesson(Images, rows: 60, weighted: true);
        using ITrainingSession session = lesson.Start(threads: 2);
        double[] losses = new double[10];
        Epoch();
        Assert.AreEqual(0, Allocation.OfWarm(Epoch));

        void Epoch()
        {
            session.TrainOnBatch(lesson.AllRows.AsSpan(0, 33), 0.01);
            session.TrainOnBatch(lesson.AllRows.AsSpan(33, 27), 0.01);
            session.ReadLosses(losses);
        }
    }

    [TestMethod]
    public void A_sum_that_no_float_holds_is_found_in_its_layer()
    {
        var lesson = new Lesson(Images);
        float[] kernel = lesson.State["conv2d_1"].Kernel.ToArray();
        Array.Fill(kernel, float.MaxValue);
        NetworkState broken = lesson.State.With("conv2d_1", new LayerState(kernel, lesson.State["conv2d_1"].Bias));
        using ITrainingSession session = new CpuEngine().Start(lesson.Network, broken, lesson.Options, lesson.Data);
        var error = Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch(lesson.AllRows, 0.1));
        StringAssert.Contains(error.Message, "conv2d_1");
    }
}
