using Microsoft.ML.BatchNorm.Tests.Networks;

namespace Microsoft.ML.BatchNorm.Tests.Collectives;

/// <summary>Runs of several ranks: epochs, validation, early stopping, cancellation, checkpoints.</summary>
[TestClass]
public class RankTrainingTests
{
    static readonly Lesson lesson = new(
        Network.Input(6).Dense(12).BatchNormalization().ReLU().Dropout(0.2).Dense(3),
        new TrainingOptions
        {
            Optimizer = Optimizer.Sgd(0.02),
            Epochs = 4,
            BatchSize = 16,
            ValidationSplit = 0.2,
            EvaluateTrainingData = true,
            RecomputeStatistics = true,
            RecordStatistics = true,
            EarlyStopping = new EarlyStopping { Patience = 3 },
            Seed = 5,
        },
        rows: 103);

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void The_same_options_give_the_same_training_on_any_number_of_ranks(int size)
    {
        TrainingResult one = Train(lesson.Data);

        TrainingResult[] ranks = Train(size, lesson.Options);

        foreach (TrainingResult result in ranks)
        {
            Assert.AreEqual(ranks[0].State, result.State);
            CollectionAssert.AreEqual(ranks[0].History.ToArray(), result.History.ToArray());
            CollectionAssert.AreEqual(ranks[0].StatisticsHistory.ToArray(), result.StatisticsHistory.ToArray());
            Assert.AreEqual(one.BestEpoch, result.BestEpoch);
            Assert.AreEqual(one.StoppedEarly, result.StoppedEarly);
            Assert.AreEqual(one.Checkpoint.Setup.DataChecksum, result.Checkpoint.Setup.DataChecksum);
        }
        if (size == 1)
            Assert.AreEqual(one.State, ranks[0].State);
        RankSessionTests.AssertNear(one.State, ranks[0].State, 1e-6);
        for (int epoch = 0; epoch < one.History.Length; epoch++)
        {
            Assert.AreEqual(one.History[epoch].Loss, ranks[0].History[epoch].Loss, 1e-6);
            Assert.AreEqual(one.History[epoch].ValidationLoss!.Value, ranks[0].History[epoch].ValidationLoss!.Value, 1e-6);
            Assert.AreEqual(one.History[epoch].Metric, ranks[0].History[epoch].Metric);
        }
    }

    [TestMethod]
    public void Validation_rows_can_be_shares_too_and_rows_can_come_from_a_source()
    {
        var validation = new Lesson(lesson.Network, lesson.Options, rows: 11, seed: 3);
        TrainingResult one = NetworkTrainer.Train(
            lesson.Network, lesson.State, lesson.Data, lesson.Options, validation.Data);

        TrainingResult[] ranks = ThreadCollective.Run(4, collective => NetworkTrainer.Train(
            lesson.Network, lesson.State, new TrainingData(new Source(lesson.Data)).Share(collective), lesson.Options,
            validation.Data.Share(collective), new CpuEngine(1, collective)));

        Assert.AreEqual(ranks[0].State, ranks[3].State);
        RankSessionTests.AssertNear(one.State, ranks[0].State, 1e-6);
        Assert.AreEqual(one.History[^1].ValidationLoss!.Value, ranks[2].History[^1].ValidationLoss!.Value, 1e-6);
        Assert.AreEqual(one.Checkpoint.Setup.DataChecksum, ranks[1].Checkpoint.Setup.DataChecksum);
    }

    [TestMethod]
    public void Rows_of_each_rank_s_own_give_the_same_bits_again_in_agreed_steps()
    {
        int[] rows = [40, 1, 73];
        (NetworkState State, long Steps)[] first = Run(), second = Run();

        foreach ((NetworkState state, long steps) in first.Concat(second))
        {
            Assert.AreEqual(first[0].State, state);
            Assert.AreEqual(new Batches(114, 16).Count * 4, steps);
        }

        (NetworkState State, long Steps)[] Run() => ThreadCollective.Run(3, collective =>
        {
            var own = new Lesson(lesson.Network, lesson.Options, rows[collective.Rank], seed: 40 + collective.Rank);
            TrainingResult result = NetworkTrainer.Train(
                lesson.Network, lesson.State, own.Data, lesson.Options with { ValidationSplit = 0, EarlyStopping = null },
                engine: new CpuEngine(1, collective));
            return (result.State, result.Checkpoint.Position.Optimizer.Steps);
        });
    }

    [TestMethod]
    public void Phases_of_a_plan_run_on_all_ranks()
    {
        FineTuningPlan plan = FineTune.HeadThenAll(2, 2, 0.05, 0.01, FineTuneBatchNormalization.Train);
        TrainingResult one = NetworkTrainer.Train(lesson.Network, lesson.State, lesson.Data, lesson.Options, plan);

        TrainingResult[] ranks = ThreadCollective.Run(3, collective => NetworkTrainer.Train(
            lesson.Network, lesson.State, lesson.Data.Share(collective), lesson.Options, plan,
            engine: new CpuEngine(1, collective)));

        Assert.AreEqual(ranks[0].State, ranks[2].State);
        RankSessionTests.AssertNear(one.State, ranks[0].State, 1e-6);
    }

    [TestMethod]
    public void Rank_0_alone_reports_and_writes_the_checkpoint()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            string Path(int rank) => System.IO.Path.Combine(folder.FullName, $"{rank}.ckpt");
            int[] reports = ThreadCollective.Run(3, collective =>
            {
                var own = new Training.Reports();
                NetworkTrainer.Train(
                    lesson.Network, lesson.State, lesson.Data.Share(collective),
                    lesson.Options with { CheckpointPath = Path(collective.Rank) }, engine: new CpuEngine(1, collective),
                    progress: own);
                return own.All.Count;
            });

            Assert.IsGreaterThanOrEqualTo(4, reports[0]);
            CollectionAssert.AreEqual(new[] { 0, 0 }, reports[1..]);
            Assert.IsTrue(File.Exists(Path(0)));
            Assert.IsFalse(File.Exists(Path(1)) || File.Exists(Path(2)));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    [DataRow(4, 2)]
    [DataRow(2, 4)]
    [DataRow(3, 1)]
    [DataRow(1, 3)]
    [DataRow(3, 3)]
    public void A_checkpoint_continues_on_another_number_of_ranks(int before, int after)
    {
        TrainingOptions plain = lesson.Options with { EarlyStopping = null };
        TrainingResult whole = Train(before, plain)[0];
        TrainingCheckpoint[] half = Array.ConvertAll(
            Train(before, plain with { Epochs = 2 }), result => Reloaded(result.Checkpoint.WithEpochs(4)));

        TrainingResult[] resumed = ThreadCollective.Run(after, collective => NetworkTrainer.Resume(
            half[0], lesson.Data.Share(collective), engine: new CpuEngine(1, collective)));

        foreach (TrainingResult result in resumed)
            Assert.AreEqual(resumed[0].State, result.State);
        if (before == after)
            Assert.AreEqual(whole.State, resumed[0].State);
        RankSessionTests.AssertNear(whole.State, resumed[0].State, 1e-6);
        Assert.AreEqual(whole.History.Length, resumed[0].History.Length);
    }

    [TestMethod]
    public void A_checkpoint_is_refused_on_all_ranks_if_one_has_other_rows()
    {
        TrainingCheckpoint half = Train(2, lesson.Options with { Epochs = 2, EarlyStopping = null })[0].Checkpoint;
        float[] features = [.. lesson.Features];
        features[6] += 1;
        var other = new TrainingData(103, features, lesson.Targets);

        string[] errors = ErrorsOf<ArgumentException>(3, collective => NetworkTrainer.Resume(
            half.WithEpochs(4), (collective.Rank == 1 ? other : lesson.Data).Share(collective),
            engine: new CpuEngine(1, collective)));

        foreach (string error in errors)
            Assert.Contains("other rows", error);
    }

    [TestMethod]
    public void A_run_that_only_rank_0_resumes_is_an_error_on_all()
    {
        TrainingCheckpoint half = Train(2, lesson.Options with { Epochs = 2, EarlyStopping = null })[0].Checkpoint;

        // As on machines of which only the first has the checkpoint's file.
        string[] errors = ErrorsOf<ArgumentException>(2, collective =>
        {
            TrainingData share = lesson.Data.Share(collective);
            var engine = new CpuEngine(1, collective);
            return collective.Rank == 0
                ? NetworkTrainer.Resume(half, share, engine: engine)
                : NetworkTrainer.Train(lesson.Network, lesson.State, share, half.Setup.Options, engine: engine);
        });

        foreach (string error in errors)
        {
            Assert.StartsWith("Rank 1 has another network", error);
            Assert.Contains("resume", error);
        }
    }

    [TestMethod]
    public void An_exception_of_the_receiver_of_an_epoch_s_progress_is_an_error_on_all()
    {
        string[] errors = ErrorsOf<InvalidDataException>(2, collective => NetworkTrainer.Train(
            lesson.Network, lesson.State, lesson.Data.Share(collective), lesson.Options,
            engine: new CpuEngine(1, collective), progress: new Failing()));

        Assert.StartsWith("Rank 0: ", errors[1]);
        foreach (string error in errors)
            Assert.Contains("the window is closed", error);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    public void A_cancellation_on_one_rank_ends_all_after_the_same_step_and_can_be_resumed(int canceling)
    {
        TrainingOptions plain = lesson.Options with { EarlyStopping = null };
        TrainingResult whole = Train(3, plain)[0];
        TrainingCheckpoint[] canceled = ThreadCollective.Run(3, collective =>
        {
            using var source = new CancellationTokenSource();
            var engine = new SteppingEngine(new CpuEngine(1, collective), step =>
            {
                if (step == 8 && collective.Rank == canceling)
                    source.Cancel();
            });
            return Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
                lesson.Network, lesson.State, lesson.Data.Share(collective), plain, engine: engine,
                cancellationToken: source.Token)).Checkpoint;
        });

        foreach (TrainingCheckpoint checkpoint in canceled)
        {
            Assert.AreEqual(canceled[0].State, checkpoint.State);
            Assert.AreEqual((2, canceled[0].Step), (checkpoint.Epoch, checkpoint.Step));
        }
        TrainingResult resumed = ThreadCollective.Run(3, collective => NetworkTrainer.Resume(
            canceled[collective.Rank], lesson.Data.Share(collective), engine: new CpuEngine(1, collective)))[1];
        Assert.AreEqual(whole.State, resumed.State);
        TrainingResult[] fewer = ThreadCollective.Run(2, collective => NetworkTrainer.Resume(
            canceled[0], lesson.Data.Share(collective), engine: new CpuEngine(1, collective)));
        Assert.AreEqual(fewer[0].State, fewer[1].State);
        RankSessionTests.AssertNear(whole.State, fewer[0].State, 1e-6);
    }

    [TestMethod]
    public void A_cancellation_during_validation_ends_all_ranks()
    {
        TrainingCheckpoint[] canceled = ThreadCollective.Run(3, collective =>
        {
            bool isAsked = false;
            var engine = new SteppingEngine(
                new CpuEngine(1, collective), _ => { }, () => isAsked = collective.Rank == 1);
            return Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Start(
                lesson.Network, lesson.State, lesson.Data.Share(collective), lesson.Options, null, null, engine, null,
                TimeProvider.System, default, () => isAsked)).Checkpoint;
        });

        foreach (TrainingCheckpoint checkpoint in canceled)
            Assert.AreEqual(canceled[0].State, checkpoint.State);
    }

    [TestMethod]
    public void A_rank_that_drifts_apart_is_named()
    {
        string[] errors = ErrorsOf<InvalidOperationException>(3, collective =>
        {
            var watched = new WatchedCollective(collective);
            if (collective.Rank == 2)
                watched.Change = sum => sum[0] *= 1.001f;
            return NetworkTrainer.Train(
                lesson.Network, lesson.State, lesson.Data.Share(collective), lesson.Options with { ValidationSplit = 0,
                EarlyStopping = null }, engine: new CpuEngine(1, watched));
        });

        foreach (string error in errors)
        {
            Assert.Contains("epoch 1", error);
            Assert.Contains("the parameters of rank 2 differ", error);
        }
    }

    [TestMethod]
    public void Other_options_or_parameters_on_one_rank_are_an_error_on_all()
    {
        foreach (bool isState in new[] { false, true })
        {
            string[] errors = ErrorsOf<ArgumentException>(3, collective =>
            {
                bool isOther = collective.Rank == 1;
                return NetworkTrainer.Train(
                    lesson.Network, isState && isOther ? lesson.Network.Initialize(77) : lesson.State,
                    lesson.Data.Share(collective),
                    lesson.Options with { BatchSize = !isState && isOther ? 17 : 16 },
                    engine: new CpuEngine(1, collective));
            });

            foreach (string error in errors)
                Assert.StartsWith("Rank 1 has another network, other options", error);
        }
    }

    [TestMethod]
    public void Another_engine_on_one_rank_is_an_error_on_all()
    {
        string[] errors = ErrorsOf<ArgumentException>(2, collective =>
        {
            var engine = new CpuEngine(1, collective);
            return NetworkTrainer.Train(
                lesson.Network, lesson.State, lesson.Data.Share(collective), lesson.Options,
                engine: collective.Rank == 0 ? engine : new SteppingEngine(engine, _ => { }));
        });

        foreach (string error in errors)
            Assert.StartsWith("Rank 1 has another network, other options, another engine", error);
    }

    [TestMethod]
    public void Validation_rows_on_some_ranks_are_an_error_on_all()
    {
        string[] errors = ErrorsOf<ArgumentException>(3, collective => NetworkTrainer.Train(
            lesson.Network, lesson.State, lesson.Data.Share(collective), lesson.Options,
            collective.Rank == 1 ? lesson.Data : null, new CpuEngine(1, collective)));

        foreach (string error in errors)
            Assert.Contains("only rank 1 has validation rows", error);
    }

    [TestMethod]
    public void A_wrong_class_on_one_rank_is_an_error_on_all()
    {
        float[] targets = [.. lesson.Targets];
        targets[4] = 3;
        var wrong = new TrainingData(103, lesson.Features, targets);

        string[] errors = ErrorsOf<ArgumentException>(3, collective => NetworkTrainer.Train(
            lesson.Network, lesson.State, wrong.Share(collective), lesson.Options, engine: new CpuEngine(1, collective)));

        Assert.StartsWith("Rank 1: ", errors[0]);
        foreach (string error in errors)
            Assert.Contains("has the class 3", error);
    }

    [TestMethod]
    public void A_folder_that_rank_0_does_not_have_is_an_error_on_all()
    {
        string[] errors = ErrorsOf<IOException>(2, collective => NetworkTrainer.Train(
            lesson.Network, lesson.State, lesson.Data.Share(collective),
            lesson.Options with { CheckpointPath = collective.Rank == 0 ? "/there/is/none.ckpt" : null },
            engine: new CpuEngine(1, collective)));

        foreach (string error in errors)
            Assert.Contains("does not exist", error);
    }

    [TestMethod]
    public void A_run_that_diverges_on_one_rank_diverges_on_all_at_the_same_step()
    {
        float[] features = [.. lesson.Features];
        for (int slot = 0; slot < 6; slot++)
            features[7 * 6 + slot] = float.MaxValue;
        var data = new TrainingData(103, features, lesson.Targets);

        (long Step, string Layer, NetworkState? Last)[] errors = ThreadCollective.Run(3, collective =>
        {
            TrainingDivergedException error = Assert.ThrowsExactly<TrainingDivergedException>(
                () => NetworkTrainer.Train(
                    lesson.Network, lesson.State, data.Share(collective), lesson.Options,
                    engine: new CpuEngine(1, collective)));
            return (error.Step, error.Layer, error.LastGoodState);
        });

        foreach ((long Step, string Layer, NetworkState? Last) error in errors)
            Assert.AreEqual(errors[0], error);
    }

    [TestMethod]
    public void A_network_is_measured_on_the_rows_of_all_ranks()
    {
        EvaluationResult one = NetworkTrainer.Evaluate(
            lesson.Network, lesson.State, lesson.Data, Loss.SoftmaxCrossEntropy);

        EvaluationResult[] ranks = ThreadCollective.Run(4, collective => NetworkTrainer.Evaluate(
            lesson.Network, lesson.State, lesson.Data.Share(collective), Loss.SoftmaxCrossEntropy,
            new CpuEngine(1, collective)));

        foreach (EvaluationResult result in ranks)
        {
            Assert.AreEqual(ranks[0], result);
            Assert.AreEqual(one.Loss, result.Loss, 1e-12);
            Assert.AreEqual(one.Metric, result.Metric, 1e-15);
        }
    }

    [TestMethod]
    public void Statistics_are_recomputed_from_the_rows_of_all_ranks()
    {
        NetworkState one = NetworkTrainer.RecomputeStatistics(lesson.Network, lesson.State, lesson.Features);

        NetworkState[] ranks = ThreadCollective.Run(4, collective => NetworkTrainer.RecomputeStatistics(
            lesson.Network, lesson.State, lesson.Data.Share(collective).Features, new CpuEngine(1, collective)));

        foreach (NetworkState state in ranks)
            Assert.AreEqual(ranks[0], state);
        RankSessionTests.AssertNear(one, ranks[0], 1e-12);
    }

    [TestMethod]
    public void A_network_without_moving_statistics_is_not_measured_on_several_ranks()
    {
        Network network = Network.Input(6)
            .BatchNormalization(new BatchNormalizationOptions { TrackMovingStatistics = false }).Dense(3);

        string[] errors = ErrorsOf<NotSupportedException>(2, collective => NetworkTrainer.Train(
            network, network.Initialize(1), lesson.Data.Share(collective), lesson.Options,
            engine: new CpuEngine(1, collective)));

        Assert.Contains("has no moving statistics", errors[0]);
    }

    static TrainingResult Train(TrainingData data, ITrainingEngine? engine = null) =>
        NetworkTrainer.Train(lesson.Network, lesson.State, data, lesson.Options, engine: engine);

    static TrainingResult[] Train(int size, TrainingOptions options) => ThreadCollective.Run(
        size, collective => NetworkTrainer.Train(
            lesson.Network, lesson.State, lesson.Data.Share(collective), options, engine: new CpuEngine(1, collective)));

    /// <summary>The messages of the errors that every rank throws.</summary>
    static string[] ErrorsOf<T>(int size, Func<ICollective, object> program) where T : Exception =>
        ThreadCollective.Run(size, collective => Assert.Throws<T>(() => program(collective)).Message);

    static TrainingCheckpoint Reloaded(TrainingCheckpoint checkpoint)
    {
        using var stream = new MemoryStream();
        checkpoint.Save(stream);
        stream.Position = 0;
        return TrainingCheckpoint.Load(stream);
    }

    sealed class Source(TrainingData data) : ITrainingRows
    {
        public int Rows => data.Rows;

        public int FeaturesPerRow => data.FeaturesPerRow;

        public int TargetsPerRow => data.TargetsPerRow;

        public bool HasWeights => data.HasWeights;

        public void Read(ReadOnlySpan<int> rows, Span<float> features, Span<float> targets, Span<float> weights) =>
            data.Read(rows, features, targets, weights);
    }

    sealed class Failing : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.IsEndOfEpoch)
                throw new InvalidDataException("the window is closed");
        }
    }

    /// <summary>Calls back before each step and each prediction.</summary>
    sealed class SteppingEngine(ITrainingEngine engine, Action<long> beforeStep, Action? beforePrediction = null)
        : ITrainingEngine
    {
        public ICollective? Collective => engine.Collective;

        public ITrainingSession Start(
            Network network, NetworkState state, TrainingOptions options, TrainingData data) =>
            new Session(engine.Start(network, state, options, data), beforeStep, beforePrediction);

        sealed class Session(ITrainingSession session, Action<long> beforeStep, Action? beforePrediction)
            : ITrainingSession
        {
            public long Steps => session.Steps;

            public void TrainOnBatch(ReadOnlySpan<int> rows, double learningRate) =>
                session.TrainOnBatch(rows, learningRate);

            public bool TrainOnBatch(ReadOnlySpan<int> rows, double learningRate, bool wantsToStop)
            {
                beforeStep(Steps);
                return session.TrainOnBatch(rows, learningRate, wantsToStop);
            }

            public void Prefetch(ReadOnlySpan<int> rows) => session.Prefetch(rows);

            public int ReadLosses(Span<double> losses) => session.ReadLosses(losses);

            public void RecomputeStatistics(IReadOnlyCollection<int> rows) => session.RecomputeStatistics(rows);

            public void SetStatistics(NetworkState state) => session.SetStatistics(state);

            public void Predict(ReadOnlySpan<float> features, Span<float> outputs)
            {
                beforePrediction?.Invoke();
                session.Predict(features, outputs);
            }

            public NetworkState GetState() => session.GetState();

            public OptimizerState GetOptimizerState() => session.GetOptimizerState();

            public void SetOptimizerState(OptimizerState state) => session.SetOptimizerState(state);

            public void Dispose() => session.Dispose();
        }
    }
}
