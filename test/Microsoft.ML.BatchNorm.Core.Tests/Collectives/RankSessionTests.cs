using Microsoft.ML.BatchNorm.Tests.Networks;

namespace Microsoft.ML.BatchNorm.Tests.Collectives;

/// <summary>Sessions of several ranks follow one process, and every rank has the same bits.</summary>
[TestClass]
public class RankSessionTests
{
    static readonly TrainingOptions sgd = new() { Optimizer = Optimizer.Sgd(0.02) };

    static readonly Dictionary<string, Lesson> lessons = new()
    {
        ["dense"] = new Lesson(
            Network.Input(20).Dense(64).BatchNormalization().ReLU().Dense(32).BatchNormalization().ReLU().Dense(3),
            sgd, rows: 210, weighted: true),
        ["dropout"] = new Lesson(
            Network.Input(12).Dense(40).BatchNormalization().ReLU().Dropout(0.3).Dense(20).Dropout(0.2).Dense(3), sgd,
            rows: 150),
        ["convolutional"] = new Lesson(
            Network.Input(2, 6, 6).Conv2D(8, 3).BatchNormalization().ReLU().MaxPool2D(2).Flatten().Dense(3), sgd,
            rows: 90),
        ["augmented"] = new Lesson(
            Network.Input(2, 6, 6).RandomHorizontalFlip().RandomCrop(2).Conv2D(8, 3).BatchNormalization().ReLU()
                .Flatten().Dense(3), sgd, rows: 90),
        ["residual"] = new Lesson(
            Network.Input(10).Dense(16).BatchNormalization()
                .Residual(Network.Input(16).Dense(16).BatchNormalization().ReLU().Dense(16).BatchNormalization())
                .ReLU().Dense(3), sgd, rows: 130),
        ["regularized"] = new Lesson(
            Network.Input(10)
                .BatchNormalization(new BatchNormalizationOptions
                {
                    GammaRegularizer = Regularizer.L2(0.01),
                    GammaConstraint = Constraint.NonNegative,
                })
                .Dense(16).BatchNormalization(BatchNormalizationOptions.PyTorch).ReLU().Dense(3),
            sgd with { GradientClipNorm = 0.5, ClassWeights = [1, 2, 0.5] }, rows: 120),
        ["renormalized"] = new Lesson(
            Network.Input(10).Dense(16)
                .BatchNormalization(new BatchNormalizationOptions { Renorm = new() }).ReLU().Dense(3), sgd,
            rows: 120),
        ["virtual"] = new Lesson(
            Network.Input(10).Dense(16)
                .BatchNormalization(new BatchNormalizationOptions { VirtualBatchSize = 7 }).ReLU().Dense(3), sgd,
            rows: 120),
        ["exact"] = new Lesson(
            Network.Input(10).Dense(16)
                .BatchNormalization(
                    new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population })
                .ReLU().Dense(3), sgd, rows: 120),
    };

    public static IEnumerable<object[]> Cases =>
        from name in lessons.Keys from size in new[] { 1, 2, 3, 4 } select new object[] { name, size };

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void After_200_steps_ranks_agree_to_the_bit_and_follow_one_process(string name, int size)
    {
        Lesson lesson = lessons[name];
        (NetworkState expected, double[] losses) = lesson.Train(200, 30);

        (NetworkState State, double[] Losses)[] ranks = Train(lesson, size, 200, 30);

        foreach ((NetworkState state, double[] own) in ranks)
        {
            Assert.AreEqual(ranks[0].State, state);
            CollectionAssert.AreEqual(ranks[0].Losses, own);
        }
        if (size == 1)
            Assert.AreEqual(expected, ranks[0].State);
        AssertNear(expected, ranks[0].State, 1e-6);
        for (int step = 0; step < losses.Length; step++)
            Assert.AreEqual(losses[step], ranks[0].Losses[step], 1e-6 * Math.Max(1, losses[step]), $"step {step}");
    }

    [TestMethod]
    public void The_same_ranks_give_the_same_bits_again_on_any_number_of_threads()
    {
        Lesson lesson = lessons["dropout"];

        Assert.AreEqual(Train(lesson, 3, 20, 31)[0].State, Train(lesson, 3, 20, 31, threads: 2)[2].State);
    }

    [TestMethod]
    [DataRow("dense")]
    [DataRow("convolutional")]
    [DataRow("residual")]
    [DataRow("virtual")]
    public void A_rank_without_rows_in_a_batch_takes_part(string name)
    {
        Lesson lesson = lessons[name];
        // Of every fourth row, all are rank 0's.
        int[][] batches = [[0, 4, 8, 12, 16, 20], [1, 5, 9, 13], [2, 3, 6, 7], [.. Enumerable.Range(0, 24)]];
        NetworkState expected = Run(lesson.Start());

        NetworkState[] ranks = ThreadCollective.Run(4, collective => Run(Start(lesson, collective)));

        foreach (NetworkState state in ranks)
            Assert.AreEqual(ranks[0], state);
        AssertNear(expected, ranks[0], 1e-6);

        NetworkState Run(ITrainingSession session)
        {
            using (session)
            {
                foreach (int[] batch in batches)
                    session.TrainOnBatch(batch, 0.05);
                session.RecomputeStatistics([0, 4, 8, 12]);
                return session.GetState();
            }
        }
    }

    [TestMethod]
    [DataRow("dense", 2)]
    [DataRow("residual", 3)]
    [DataRow("convolutional", 1)]
    public void Recomputed_statistics_are_those_of_all_rows(string name, int normalizations)
    {
        Lesson lesson = lessons[name];
        using ITrainingSession one = lesson.Start();
        one.RecomputeStatistics(lesson.AllRows);

        (NetworkState State, int Messages)[] ranks = ThreadCollective.Run(4, collective =>
        {
            var watched = new WatchedCollective(collective);
            using ITrainingSession session = Start(lesson, watched);
            int before = watched.Messages;
            session.RecomputeStatistics(lesson.AllRows);
            return (session.GetState(), watched.Messages - before);
        });

        foreach ((NetworkState state, int messages) in ranks)
        {
            Assert.AreEqual(ranks[0].State, state);
            Assert.AreEqual(normalizations, messages);
        }
        AssertNear(one.GetState(), ranks[0].State, 1e-6);
    }

    [TestMethod]
    [DataRow("dense", 2, 1)]
    [DataRow("dropout", 1, 0)]
    [DataRow("residual", 3, 0)]
    [DataRow("convolutional", 1, 0)]
    public void A_step_takes_two_messages_per_normalization_and_two_or_three_more(
        string name, int normalizations, int forWeights)
    {
        int[] messages = ThreadCollective.Run(3, collective =>
        {
            var watched = new WatchedCollective(collective);
            using ITrainingSession session = Start(lessons[name], watched, threads: 3);
            int before = watched.Messages;
            for (int step = 0; step < 5; step++)
                session.TrainOnBatch(lessons[name].Rows(step, 20), 0.01);
            return watched.Messages - before;
        });

        foreach (int count in messages)
            Assert.AreEqual(5 * (2 * normalizations + 2 + forWeights), count);
    }

    [TestMethod]
    public void The_bytes_of_a_step_are_the_moments_the_sums_and_the_gradients()
    {
        Network network = Network.Input(20).Dense(64).BatchNormalization().ReLU().Dense(32).BatchNormalization().ReLU()
            .Dense(3);
        var lesson = new Lesson(network, sgd, rows: 40);

        long[] bytes = ThreadCollective.Run(2, collective =>
        {
            var watched = new WatchedCollective(collective);
            using ITrainingSession session = Start(lesson, watched);
            long before = watched.Bytes;
            session.TrainOnBatch(lesson.AllRows, 0.01);
            return watched.Bytes - before;
        });

        // 64 and 32 channels are whole vectors; a kernel or bias of 3 outputs is padded to 16.
        long parameters = 20 * 64 + 64 + 2 * 64 + 64 * 32 + 32 + 2 * 32 + 32 * 16 + 16;
        foreach (long count in bytes)
            Assert.AreEqual((64 + 32) * (5 + 2) * 8 + 16 + parameters * 4, count);
    }

    [TestMethod]
    public void A_feature_that_is_not_finite_on_one_rank_is_an_error_on_all_and_nothing_is_kept()
    {
        Lesson lesson = lessons["dropout"];
        float[] features = [.. lesson.Features];
        features[5 * 12 + 3] = float.NaN;
        var data = new TrainingData(150, features, lesson.Targets);

        ThreadCollective.Run(3, collective =>
        {
            using ITrainingSession session = new CpuEngine(1, collective).Start(
                lesson.Network, lesson.State, lesson.Options, data.Share(collective));
            NetworkState before = session.GetState();
            InvalidDataException error = Assert.ThrowsExactly<InvalidDataException>(
                () => session.TrainOnBatch([.. Enumerable.Range(0, 12)], 0.1));
            Assert.Contains("slot 3", error.Message);
            Assert.AreEqual(collective.Rank != 2, error.Message.StartsWith("Rank 2: ", StringComparison.Ordinal));
            Assert.AreEqual(before, session.GetState());
            session.TrainOnBatch([.. Enumerable.Range(6, 12)], 0.1);
            InvalidDataException recomputed = Assert.ThrowsExactly<InvalidDataException>(
                () => session.RecomputeStatistics(lesson.AllRows));
            Assert.Contains("slot 3", recomputed.Message);
            return 0;
        });
    }

    [TestMethod]
    public void Rows_that_one_rank_cannot_read_are_an_error_on_all()
    {
        Lesson lesson = lessons["dropout"];

        ThreadCollective.Run(3, collective =>
        {
            TrainingData share = lesson.Data.Share(collective);
            var rows = new FailingRows(share) { Fails = false };
            using ITrainingSession session = new CpuEngine(1, collective).Start(
                lesson.Network, lesson.State, lesson.Options, new TrainingData(rows));
            NetworkState before = session.GetState();
            rows.Fails = collective.Rank == 1;
            IOException error = Assert.ThrowsExactly<IOException>(
                () => session.TrainOnBatch([.. Enumerable.Range(0, 12)], 0.1));
            Assert.EndsWith("the disk is gone", error.Message);
            Assert.AreEqual(before, session.GetState());
            rows.Fails = false;
            session.TrainOnBatch([.. Enumerable.Range(0, 12)], 0.1);
            return 0;
        });
    }

    [TestMethod]
    public void A_loss_that_is_not_finite_on_one_rank_diverges_on_all_and_names_the_layer()
    {
        Lesson lesson = lessons["residual"];
        float[] features = [.. lesson.Features];
        for (int slot = 0; slot < 10; slot++)
            features[7 * 10 + slot] = float.MaxValue;
        var data = new TrainingData(130, features, lesson.Targets);

        string[] layers = ThreadCollective.Run(3, collective =>
        {
            using ITrainingSession session = new CpuEngine(1, collective).Start(
                lesson.Network, lesson.State, lesson.Options, data.Share(collective));
            NetworkState before = session.GetState();
            string layer = Assert.ThrowsExactly<TrainingDivergedException>(
                () => session.TrainOnBatch([.. Enumerable.Range(0, 12)], 0.1)).Layer;
            Assert.AreEqual(before, session.GetState());
            return layer;
        });

        foreach (string layer in layers)
            Assert.AreEqual(lesson.Network.Nodes[0].Path, layer);
    }

    [TestMethod]
    public void A_wish_to_stop_reaches_all_ranks_with_the_step()
    {
        Lesson lesson = lessons["dropout"];

        bool[][] stops = ThreadCollective.Run(3, collective =>
        {
            using ITrainingSession session = Start(lesson, collective);
            return Enumerable.Range(0, 3)
                .Select(step => session.TrainOnBatch(
                    lesson.Rows(step, 20), 0.01, wantsToStop: step == 1 && collective.Rank == 2))
                .ToArray();
        });

        foreach (bool[] own in stops)
            CollectionAssert.AreEqual(new[] { false, true, false }, own);
    }

    [TestMethod]
    public void One_row_on_each_rank_is_enough_for_a_sample_variance()
    {
        var lesson = new Lesson(
            Network.Input(3).BatchNormalization(BatchNormalizationOptions.PyTorch).Dense(3), sgd, rows: 6);

        (NetworkState State, double[] Losses)[] ranks = Train(lesson, 3, 5, 3);

        AssertNear(lesson.Train(5, 3).State, ranks[1].State, 1e-6);
    }

    [TestMethod]
    public void Different_virtual_batch_sizes_are_refused()
    {
        var lesson = new Lesson(
            Network.Input(3).BatchNormalization(new BatchNormalizationOptions { VirtualBatchSize = 4 })
                .BatchNormalization(new BatchNormalizationOptions { VirtualBatchSize = 5 }).Dense(3), rows: 30);

        NotSupportedException error = Assert.ThrowsExactly<NotSupportedException>(() => Train(lesson, 2, 1, 30));

        Assert.Contains("4 and 5", error.Message);
    }

    static ITrainingSession Start(Lesson lesson, ICollective collective, int threads = 1) =>
        new CpuEngine(threads, collective).Start(
            lesson.Network, lesson.State, lesson.Options, lesson.Data.Share(collective));

    static (NetworkState State, double[] Losses)[] Train(
        Lesson lesson, int size, int steps, int batch, int threads = 1) => ThreadCollective.Run(size, collective =>
    {
        using ITrainingSession session = Start(lesson, collective, threads);
        lesson.Step(session, 0, steps, batch);
        double[] losses = new double[steps];
        Assert.AreEqual(steps, session.ReadLosses(losses));
        return (session.GetState(), losses);
    });

    /// <summary>Every parameter and statistic agrees, in units of the greatest value of its tensor or of 1.</summary>
    internal static void AssertNear(NetworkState expected, NetworkState actual, double tolerance)
    {
        foreach ((string name, float[] values) in Lesson.Values(expected))
            AssertNear(name, Sample.Widen(values), Sample.Widen(Lesson.Values(actual)[name]));
        foreach (string path in expected.Paths)
        {
            if (expected[path].BatchNormalization is not { } state)
                continue;
            BatchNormalizationState other = actual[path].BatchNormalization!;
            AssertNear($"{path} mean", state.MovingMean.ToArray(), other.MovingMean.ToArray());
            AssertNear($"{path} variance", state.MovingVariance.ToArray(), other.MovingVariance.ToArray());
            Assert.AreEqual(state.BatchesSeen, other.BatchesSeen);
        }

        void AssertNear(string name, double[] values, double[] others)
        {
            double unit = Math.Max(1, values.Max(Math.Abs));
            for (int i = 0; i < values.Length; i++)
                Assert.AreEqual(values[i], others[i], tolerance * unit, $"{name}[{i}]");
        }
    }

    sealed class FailingRows(TrainingData data) : ITrainingRows
    {
        public bool Fails { get; set; }

        public int Rows => data.Rows;

        public int FeaturesPerRow => data.FeaturesPerRow;

        public int TargetsPerRow => data.TargetsPerRow;

        public bool HasWeights => data.HasWeights;

        public void Read(ReadOnlySpan<int> rows, Span<float> features, Span<float> targets, Span<float> weights)
        {
            if (Fails)
                throw new IOException("the disk is gone");
            data.Read(rows, features, targets, weights);
        }
    }
}
