namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>Sessions of several ranks follow one process, and every rank has the same bits.</summary>
[TestClass]
public class RankTests
{
    static readonly TrainingOptions sgd = new() { Optimizer = Optimizer.Sgd(0.02) };

    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras;

    static readonly Dictionary<string, Case> cases = new()
    {
        ["dense"] = new(
            Network.Input(20).Dense(64).BatchNormalization().ReLU().Dense(32).BatchNormalization().ReLU().Dense(3),
            sgd, 210, IsWeighted: true),
        ["dropout"] = new(
            Network.Input(12).Dense(40).BatchNormalization().ReLU().Dropout(0.3).Dense(20).Dropout(0.2).Dense(3), sgd,
            150),
        ["convolutional"] = new(
            Network.Input(2, 6, 6).Conv2D(8, 3).BatchNormalization().ReLU().MaxPool2D(2)
                .BatchNormalization(BatchNormalizationOptions.PyTorch, axis: -1).Flatten().Dense(3), sgd, 90),
        ["augmented"] = new(
            Network.Input(2, 6, 6).RandomHorizontalFlip().RandomCrop(2).Conv2D(8, 3).BatchNormalization().ReLU()
                .Flatten().Dense(3), sgd, 90),
        ["residual"] = new(
            Network.Input(10).Dense(16).BatchNormalization()
                .Residual(Network.Input(16).Dense(16).BatchNormalization().ReLU().Dense(16).BatchNormalization())
                .ReLU().Dense(3), sgd, 130),
        ["regularized"] = new(
            Network.Input(10)
                .BatchNormalization(keras with
                {
                    GammaRegularizer = Regularizer.L2(0.01), GammaConstraint = Constraint.NonNegative,
                })
                .Dense(16).BatchNormalization(BatchNormalizationOptions.PyTorch).ReLU().Dense(3),
            sgd with { GradientClipNorm = 0.5, ClassWeights = [1, 2, 0.5] }, 120),
        ["exact"] = new(
            Network.Input(10).Dense(16)
                .BatchNormalization(keras with { MovingStatistics = MovingStatistics.Population }).ReLU().Dense(3), sgd,
            120),
        ["virtual"] = new(
            Network.Input(2, 6, 6).BatchNormalization(keras with { VirtualBatchSize = 7 }, axis: -1).Conv2D(4, 3)
                .BatchNormalization().ReLU().Flatten().Dropout(0.2).Dense(8)
                .BatchNormalization(keras with { VirtualBatchSize = 7 }).Dense(3), sgd, 90),
        ["renormalized"] = new(
            Network.Input(10).Dense(16).BatchNormalization(keras with { Renorm = new() }).ReLU().Dense(8)
                .BatchNormalization(keras with { Renorm = new(), Momentum = 0.9 }).Dense(3), sgd, 120),
        ["frozen"] = new(
            Network.Input(10).Dense(16).BatchNormalization(keras with { Trainable = false }).Dense(8)
                .BatchNormalization(keras with { TrainAffine = false }).Dense(3), sgd, 120),
    };

    /// <summary>A network with what it is trained on.</summary>
    sealed record Case(Network Network, TrainingOptions Options, int Rows, bool IsWeighted = false)
    {
        public TrainingData Data { get; init; } = Runs.Data(Network, Options.Loss, Rows, weighted: IsWeighted);

        public int[] AllRows => [.. Enumerable.Range(0, Rows)];

        public ITrainingSession Start(ICollective? ranks = null, TorchEngineOptions? options = null) =>
            new TorchEngine("cpu", options, ranks).Start(
                Network, Network.Initialize(1), Options, ranks is null ? Data : Data.Share(ranks));

        public int[] Batch(int step, int size) =>
            [.. Enumerable.Range(step * size, size).Select(row => row * 7 % Rows)];

        public (NetworkState State, double[] Losses) Train(
            int steps, int size, ICollective? ranks = null, TorchEngineOptions? options = null)
        {
            using ITrainingSession session = Start(ranks, options);
            double[] losses = new double[steps];
            for (int step = 0; step < steps; step++)
            {
                session.Prefetch(Batch(step, size));
                session.TrainOnBatch(Batch(step, size), 0.02);
            }
            Assert.AreEqual(steps, session.ReadLosses(losses));
            return (session.GetState(), losses);
        }
    }

    static IEnumerable<object[]> Cases =>
        from name in cases.Keys from size in new[] { 1, 2, 3 } select new object[] { name, size };

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void After_50_steps_ranks_agree_to_the_bit_and_follow_one_process(string name, int size)
    {
        Case lesson = cases[name];
        (NetworkState expected, double[] losses) = lesson.Train(50, 30);

        (NetworkState State, double[] Losses)[] ranks =
            ThreadCollective.Run(size, collective => lesson.Train(50, 30, collective));

        foreach ((NetworkState state, double[] own) in ranks)
        {
            Assert.AreEqual(ranks[0].State, state);
            CollectionAssert.AreEqual(ranks[0].Losses, own);
        }
        Runs.Agree(1e-5, lesson.Network, expected, ranks[0].State);
        for (int step = 0; step < losses.Length; step++)
            Assert.AreEqual(losses[step], ranks[0].Losses[step], 1e-5 * Math.Max(1, losses[step]), $"step {step}");
    }

    [TestMethod]
    public void Whether_the_data_stays_on_the_device_changes_no_bit() =>
        Assert.AreEqual(
            ThreadCollective.Run(3, ranks => cases["dropout"].Train(9, 20, ranks))[0].State,
            ThreadCollective.Run(
                3, ranks => cases["dropout"].Train(9, 20, ranks, new() { DataBytesOnDevice = 0 }))[2].State);

    [TestMethod]
    [DataRow("dense")]
    [DataRow("convolutional")]
    [DataRow("residual")]
    [DataRow("regularized")]
    [DataRow("virtual")]
    [DataRow("renormalized")]
    public void A_rank_without_rows_in_a_batch_takes_part(string name)
    {
        Case lesson = cases[name];
        // Of every third row, all are one rank's.
        int[][] batches = [[0, 3, 6, 9, 12, 15, 18, 21, 24, 27], [1, 4, 7, 10], [2, 3, 6, 8], [.. Enumerable.Range(0, 24)]];
        NetworkState expected = Run(lesson.Start());

        NetworkState[] ranks = ThreadCollective.Run(3, collective => Run(lesson.Start(collective)));

        foreach (NetworkState state in ranks)
            Assert.AreEqual(ranks[0], state);
        Runs.Agree(1e-5, lesson.Network, expected, ranks[0]);

        NetworkState Run(ITrainingSession session)
        {
            using (session)
            {
                foreach (int[] batch in batches)
                    session.TrainOnBatch(batch, 0.05);
                session.RecomputeStatistics([0, 3, 6, 9]);
                return session.GetState();
            }
        }
    }

    [TestMethod]
    [DataRow("dense", 2)]
    [DataRow("residual", 3)]
    [DataRow("convolutional", 2)]
    public void Recomputed_statistics_are_those_of_all_rows(string name, int normalizations)
    {
        Case lesson = cases[name];
        using ITrainingSession one = lesson.Start();
        one.RecomputeStatistics(lesson.AllRows);

        (NetworkState State, int Messages)[] ranks = ThreadCollective.Run(3, collective =>
        {
            var watched = new WatchedCollective(collective);
            using ITrainingSession session = lesson.Start(watched);
            int before = watched.Messages;
            session.RecomputeStatistics(lesson.AllRows);
            return (session.GetState(), watched.Messages - before);
        });

        foreach ((NetworkState state, int messages) in ranks)
        {
            Assert.AreEqual(ranks[0].State, state);
            Assert.AreEqual(normalizations, messages);
        }
        Runs.Agree(1e-6, lesson.Network, one.GetState(), ranks[0].State);
    }

    [TestMethod]
    [DataRow("dense", 4, 1)]
    [DataRow("dropout", 2, 0)]
    [DataRow("residual", 6, 0)]
    [DataRow("convolutional", 4, 0)]
    [DataRow("regularized", 3, 1)]
    [DataRow("frozen", 2, 0)]
    [DataRow("virtual", 5, 0)]
    [DataRow("renormalized", 4, 0)]
    public void A_step_takes_two_messages_per_normalization_and_two_or_three_more(
        string name, int forNormalizations, int forWeights)
    {
        int[] messages = ThreadCollective.Run(3, collective =>
        {
            var watched = new WatchedCollective(collective);
            using ITrainingSession session = cases[name].Start(watched);
            int before = watched.Messages;
            for (int step = 0; step < 5; step++)
                session.TrainOnBatch(cases[name].Batch(step, 20), 0.01);
            return watched.Messages - before;
        });

        foreach (int count in messages)
            Assert.AreEqual(5 * (forNormalizations + 2 + forWeights), count);
    }

    [TestMethod]
    public void A_feature_that_is_not_finite_on_one_rank_is_an_error_on_all_and_nothing_is_kept()
    {
        Case lesson = cases["dropout"];
        TrainingData data = WithFeature(lesson, 5 * 12 + 3, float.NaN);

        ThreadCollective.Run(3, collective =>
        {
            using ITrainingSession session = new TorchEngine("cpu", collective: collective).Start(
                lesson.Network, lesson.Network.Initialize(1), lesson.Options, data.Share(collective));
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
    public void Values_that_are_ignored_count_on_no_rank()
    {
        BatchNormalizationOptions ignoring = keras with { NonFinite = NonFinite.Ignore };
        var plain = new Case(
            Network.Input(4).BatchNormalization(ignoring).BatchNormalization(ignoring).ReLU().Dense(3), sgd, 60);
        float[] features = [.. plain.Data.Features.Span];
        // Only rank 0 has values of the last slot.
        for (int row = 0; row < 60; row++)
            features[row * 4 + (row % 3 == 0 ? row % 2 : 3)] = float.NegativeInfinity;
        Case lesson = plain with { Data = new(60, features, plain.Data.Targets) };
        NetworkState expected = lesson.Train(20, 20).State;

        NetworkState[] ranks = ThreadCollective.Run(3, collective => lesson.Train(20, 20, collective).State);

        Assert.AreEqual(ranks[0], ranks[2]);
        Runs.Agree(1e-5, lesson.Network, expected, ranks[1]);
    }

    [TestMethod]
    public void No_gradient_reaches_a_value_that_is_ignored()
    {
        var plain = new Case(
            Network.Input(8).Dense(1).BatchNormalization(keras with { NonFinite = NonFinite.Ignore }).ReLU().Dense(3),
            sgd, 60);
        float[] features = [.. plain.Data.Features.Span];
        ReadOnlySpan<float> kernel = plain.Network.Initialize(1)[plain.Network.Nodes[0].Path].Kernel;
        // The dense layer gives −∞ for this row.
        for (int i = 0; i < 8; i++)
            features[7 * 8 + i] = -MathF.CopySign(float.MaxValue, kernel[i]);
        Case lesson = plain with { Data = new(60, features, plain.Data.Targets) };
        NetworkState expected = lesson.Train(6, 20).State;

        NetworkState[] ranks = ThreadCollective.Run(3, collective => lesson.Train(6, 20, collective).State);

        Runs.Agree(1e-5, lesson.Network, expected, ranks[1]);
    }

    [TestMethod]
    public void Rows_that_one_rank_cannot_read_are_an_error_on_all()
    {
        Network network = Network.Input(6).Dense(8).BatchNormalization().ReLU().Dense(3);
        ThreadCollective.Run(3, collective =>
        {
            var rows = new MadeRows(20, 6);
            using ITrainingSession session = new TorchEngine("cpu", collective: collective).Start(
                network, network.Initialize(1), sgd, new TrainingData(rows));
            NetworkState before = session.GetState();
            if (collective.Rank == 1)
                rows.OnRead = _ => throw new IOException("The disk is gone.");
            IOException error = Assert.ThrowsExactly<IOException>(
                () => session.TrainOnBatch([.. Enumerable.Range(0, 12)], 0.1));
            Assert.EndsWith("The disk is gone.", error.Message);
            Assert.AreEqual(before, session.GetState());
            rows.OnRead = _ => { };
            for (int step = 0; step < 3; step++)
                session.TrainOnBatch([.. Enumerable.Range(step, 12)], 0.1);
            return 0;
        });
    }

    [TestMethod]
    public void A_loss_that_is_not_finite_on_one_rank_diverges_on_all_and_names_the_layer()
    {
        Case lesson = cases["residual"];
        TrainingData data = WithFeature(lesson, 7 * 10, float.MaxValue, count: 10);

        string[] layers = ThreadCollective.Run(3, collective =>
        {
            using ITrainingSession session = new TorchEngine("cpu", collective: collective).Start(
                lesson.Network, Times(lesson.Network.Initialize(1), 100), lesson.Options, data.Share(collective));
            NetworkState before = session.GetState();
            string layer = Assert.ThrowsExactly<TrainingDivergedException>(
                () => session.TrainOnBatch([.. Enumerable.Range(0, 12)], 0.1)).Layer;
            Assert.AreEqual(before, session.GetState());
            session.TrainOnBatch([8, 9, 10, 11, 12, 13], 0.01);
            return layer;
        });

        foreach (string layer in layers)
            Assert.AreEqual(lesson.Network.Nodes[0].Path, layer);

        NetworkState Times(NetworkState state, float factor) => new(state.Paths.Select(path => KeyValuePair.Create(
            path, path == lesson.Network.Nodes[0].Path
                ? new LayerState([.. state[path].Kernel.ToArray().Select(value => value * factor)],
                    [.. state[path].Bias])
                : state[path])));
    }

    [TestMethod]
    public void A_wish_to_stop_reaches_all_ranks_with_the_step()
    {
        bool[][] stops = ThreadCollective.Run(3, collective =>
        {
            using ITrainingSession session = cases["dropout"].Start(collective);
            return Enumerable.Range(0, 3)
                .Select(step => session.TrainOnBatch(
                    cases["dropout"].Batch(step, 20), 0.01, wantsToStop: step == 1 && collective.Rank == 2))
                .ToArray();
        });

        foreach (bool[] own in stops)
            CollectionAssert.AreEqual(new[] { false, true, false }, own);
    }

    [TestMethod]
    public void A_whole_run_follows_one_process()
    {
        Case lesson = cases["dropout"];
        TrainingOptions options = lesson.Options with
        {
            Epochs = 3, BatchSize = 32, ValidationSplit = 0.2, RecomputeStatistics = true,
        };
        TrainingResult one = Run(null);

        TrainingResult[] ranks = ThreadCollective.Run(3, Run);

        foreach (TrainingResult rank in ranks)
            Assert.AreEqual(ranks[0].State, rank.State);
        Runs.Agree(1e-5, lesson.Network, one.State, ranks[0].State);

        TrainingResult Run(ICollective? collective) => NetworkTrainer.Train(
            lesson.Network, lesson.Network.Initialize(1),
            collective is null ? lesson.Data : lesson.Data.Share(collective), options,
            engine: new TorchEngine("cpu", collective: collective));
    }

    static readonly TrainingOptions run = new()
    {
        Optimizer = Optimizer.Sgd(0.02), Epochs = 4, BatchSize = 32, ValidationSplit = 0.2, RecomputeStatistics = true,
    };

    [TestMethod]
    [DataRow(3, 2)]
    [DataRow(2, 3)]
    [DataRow(1, 2)]
    [DataRow(3, 3)]
    public void A_checkpoint_continues_on_another_number_of_ranks(int before, int after)
    {
        Case lesson = cases["dropout"];
        TrainingResult whole = Train(before, run)[0];
        TrainingCheckpoint half = Train(before, run with { Epochs = 2 })[0].Checkpoint.WithEpochs(4);

        TrainingResult[] resumed = ThreadCollective.Run(after, collective => NetworkTrainer.Resume(
            half, lesson.Data.Share(collective), engine: new TorchEngine("cpu", collective: collective)));

        foreach (TrainingResult result in resumed)
            Assert.AreEqual(resumed[0].State, result.State);
        if (before == after)
            Assert.AreEqual(whole.State, resumed[0].State);
        Runs.Agree(1e-5, lesson.Network, whole.State, resumed[0].State);

        TrainingResult[] Train(int size, TrainingOptions options) => ThreadCollective.Run(
            size, collective => NetworkTrainer.Train(
                lesson.Network, lesson.Network.Initialize(1), lesson.Data.Share(collective), options,
                engine: new TorchEngine("cpu", collective: collective)));
    }

    [TestMethod]
    public void A_cancellation_on_one_rank_ends_all_after_the_same_step_and_can_be_resumed()
    {
        Case lesson = cases["dropout"];
        NetworkState whole = ThreadCollective.Run(3, collective => Train(collective).State)[0];

        TrainingCheckpoint[] canceled = ThreadCollective.Run(3, collective =>
        {
            using var stop = new CancellationTokenSource();
            return Assert.ThrowsExactly<TrainingCanceledException>(() => Train(collective, new MadeRows(150, 12)
            {
                Target = Target,
                OnRead = reading =>
                {
                    if (reading == 8 && collective.Rank == 1)
                        stop.Cancel();
                },
            }, stop.Token)).Checkpoint;
        });

        foreach (TrainingCheckpoint checkpoint in canceled)
            Assert.AreEqual((canceled[0].Epoch, canceled[0].Step), (checkpoint.Epoch, checkpoint.Step));
        Assert.IsGreaterThan(0, canceled[0].Step);
        foreach (NetworkState resumed in ThreadCollective.Run(3, collective => NetworkTrainer.Resume(
            canceled[collective.Rank], Share(collective, new MadeRows(150, 12) { Target = Target }),
            engine: Engine(collective)).State))
            Assert.AreEqual(whole, resumed);

        TrainingResult Train(ICollective collective, MadeRows? rows = null, CancellationToken stop = default) =>
            NetworkTrainer.Train(
                lesson.Network, lesson.Network.Initialize(1),
                Share(collective, rows ?? new MadeRows(150, 12) { Target = Target }), run, engine: Engine(collective),
                cancellationToken: stop);

        static TorchEngine Engine(ICollective collective) =>
            new("cpu", new() { DataBytesOnDevice = 0 }, collective);
        static TrainingData Share(ICollective collective, MadeRows rows) => new TrainingData(rows).Share(collective);
        static float Target(int row) => row % 3;
    }

    [TestMethod]
    public void A_fit_gives_the_statistics_of_all_rows()
    {
        float[] values = Sample.Floats(3 * 80, 1);
        var options = new BatchNormalizationOptions { MovingStatistics = MovingStatistics.Population, Epsilon = 0 };
        BatchNormalizationState one = Fit(null);

        BatchNormalizationState[] ranks = ThreadCollective.Run(3, Fit);

        foreach (BatchNormalizationState rank in ranks)
            Assert.AreEqual(ranks[0], rank);
        Agreement.Within(1e-12, one.MovingMean, ranks[0].MovingMean, "mean");
        Agreement.Within(1e-12, one.MovingVariance, ranks[0].MovingVariance, "variance");
        Assert.ThrowsExactly<NotSupportedException>(() => ThreadCollective.Run(2, collective => new TorchEngine(
            "cpu", collective: collective).StartFit(keras, BatchNormalization.Initialize(keras, 3))));

        BatchNormalizationState Fit(ICollective? collective)
        {
            using IStatisticsFit fit = new TorchEngine("cpu", collective: collective).StartFit(
                options, BatchNormalization.Initialize(options, 3));
            int rank = collective?.Rank ?? 0, size = collective?.Size ?? 1;
            float[] own = [.. values.Chunk(3).Where((_, row) => row % size == rank).SelectMany(row => row)];
            fit.Add(new ChannelLayout([own.Length / 3, 3], 1), own);
            return fit.Complete();
        }
    }

    [TestMethod]
    public void A_layer_without_moving_statistics_is_refused()
    {
        var lesson = new Case(
            Network.Input(4).BatchNormalization(keras with { TrackMovingStatistics = false }).Dense(3), sgd, 30);

        NotSupportedException error = Assert.ThrowsExactly<NotSupportedException>(
            () => ThreadCollective.Run(2, collective => lesson.Train(1, 10, collective)));

        Assert.Contains("TrackMovingStatistics", error.Message);
        lesson.Train(1, 10);
    }

    [TestMethod]
    public void A_TorchScript_module_that_learns_is_refused() =>
        Assert.Contains("TorchScript", Assert.ThrowsExactly<NotSupportedException>(
            () => ThreadCollective.Run(2, collective => new TorchEngine("cpu", collective: collective).Start(
                TorchScriptTests.network.Unfreeze("base"), TorchScriptTests.state, sgd,
                Runs.Data(TorchScriptTests.network, Loss.SoftmaxCrossEntropy, 12).Share(collective)))).Message);

    static TrainingData WithFeature(Case lesson, int index, float value, int count = 1)
    {
        float[] features = [.. lesson.Data.Features.Span];
        features.AsSpan(index, count).Fill(value);
        return new(lesson.Rows, features, lesson.Data.Targets);
    }
}
