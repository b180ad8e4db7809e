namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class EarlyStoppingTests
{
    static readonly TrainingData validation = Runs.Data(2);

    [TestMethod]
    public void A_run_ends_when_the_validation_loss_has_not_fallen_for_as_many_epochs_as_patience()
    {
        TrainingResult result = Train(new EarlyStopping { Patience = 2 }, 5, 4, 3, 3, 4, 1);
        Assert.AreEqual(5, result.History.Length);
        Assert.IsTrue(result.StoppedEarly);
        Assert.AreEqual(3, result.BestEpoch);
    }

    [TestMethod]
    public void A_loss_that_falls_again_in_time_keeps_the_run_going()
    {
        TrainingResult result = Train(new EarlyStopping { Patience = 2 }, 5, 6, 4, 5, 3, 4);
        Assert.AreEqual(6, result.History.Length);
        Assert.IsFalse(result.StoppedEarly);
        Assert.AreEqual(5, result.BestEpoch);
    }

    [TestMethod]
    public void A_fall_smaller_than_asked_is_no_improvement()
    {
        var stopping = new EarlyStopping { Patience = 2, MinimumImprovement = 2 };
        TrainingResult result = Train(stopping, 5, 4.5f, 4.4f, 1, 1, 1);
        Assert.AreEqual(3, result.History.Length);
        Assert.AreEqual(1, result.BestEpoch);
    }

    [TestMethod]
    public void A_validation_loss_that_is_not_finite_is_no_improvement()
    {
        var stopping = new EarlyStopping { Patience = 2 };
        TrainingResult result = Train(stopping, float.NaN, 3, float.NaN, float.PositiveInfinity, 1, 1);
        Assert.AreEqual(4, result.History.Length);
        Assert.AreEqual(2, result.BestEpoch);
        Assert.AreEqual(2, Train(stopping, float.NaN, float.NaN, 1, 1, 1, 1).History.Length);
    }

    [TestMethod]
    public void The_best_epochs_parameters_come_back_also_where_the_run_was_not_cut_short()
    {
        foreach (int patience in new[] { 2, 100 })
        {
            TrainingResult result = Train(new EarlyStopping { Patience = patience }, 5, 3, 4, 4, 4, 4);
            TrainingResult two = Runs.Train(Engine(5, 3), Runs.Options with { Epochs = 2 });
            Assert.AreEqual(two.State, result.State);
        }
    }

    [TestMethod]
    public void Without_RestoreBest_the_last_epochs_parameters_stay()
    {
        TrainingResult result = Train(new EarlyStopping { Patience = 2, RestoreBest = false }, 5, 3, 4, 4, 4, 4);
        TrainingResult four = Runs.Train(Engine(1, 1, 1, 1), Runs.Options with { Epochs = 4 });
        Assert.AreEqual(four.State, result.State);
        Assert.AreEqual(2, result.BestEpoch);
    }

    [TestMethod]
    public void Without_early_stopping_the_best_epoch_is_still_told_and_the_last_one_kept()
    {
        TrainingResult result = Train(null, 5, 3, 4, 4, 4, 4);
        Assert.AreEqual(2, result.BestEpoch);
        Assert.IsFalse(result.StoppedEarly);
        Assert.AreEqual(Runs.Train(Engine(1, 1, 1, 1, 1, 1), Runs.Options with { Epochs = 6 }).State, result.State);
    }

    [TestMethod]
    public void Early_stopping_without_validation_rows_is_an_ArgumentException()
    {
        var error = Assert.ThrowsExactly<ArgumentException>(
            () => Runs.Train(new RecordingEngine(), Runs.Options with { EarlyStopping = new EarlyStopping() }));
        StringAssert.Contains(error.Message, "ValidationSplit");
    }

    [TestMethod]
    public void Statistics_are_recomputed_on_the_training_rows_under_the_parameters_that_are_kept()
    {
        RecordingEngine engine = Engine(5, 3, 4, 4, 4, 4);
        TrainingOptions options = Options(new EarlyStopping { Patience = 2 }) with { RecomputeStatistics = true };
        TrainingResult result = Runs.Train(engine, options, validation: validation);
        Assert.AreEqual(4, engine.Last.Recomputed.Count);
        foreach (int[] rows in engine.Last.Recomputed)
            CollectionAssert.AreEqual(Enumerable.Range(0, 10).ToArray(), rows);
        Assert.AreEqual(1000, result.State["norm"].BatchNormalization!.MovingMean[0]);
        NetworkState kept = Runs.Train(Engine(5, 3), Runs.Options with { Epochs = 2 }).State;
        Assert.AreEqual(kept["base"], result.State["base"]);
        Assert.IsTrue(engine.Sessions.TrueForAll(session => session.IsDisposed));
    }

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    public void Epochs_are_measured_with_the_statistics_that_the_model_is_delivered_with(bool stops, bool isPopulation)
    {
        Network network = Network.Input(2).BatchNormalization(
            new() { MovingStatistics = isPopulation ? MovingStatistics.Population : MovingStatistics.Exponential })
            .Dense(8, useBias: false).BatchNormalization().ReLU().Dense(2);
        TrainingData rows = Rows(seed: 1), others = Rows(seed: 2);
        var options = new TrainingOptions
        {
            Epochs = 6, RecomputeStatistics = true, EvaluateTrainingData = true,
            EarlyStopping = stops ? new EarlyStopping { Patience = 1 } : null,
        };
        TrainingResult result = NetworkTrainer.Train(network, network.Initialize(1), rows, options, others);
        EpochResult last = result.History[(stops ? result.BestEpoch : 6) - 1];
        EvaluationResult delivered = NetworkTrainer.Evaluate(network, result.State, others, options.Loss);
        Assert.AreEqual(delivered.Loss, last.ValidationLoss);
        Assert.AreEqual(delivered.Metric, last.ValidationMetric);
        Assert.AreEqual(
            NetworkTrainer.Evaluate(network, result.State, rows, options.Loss).Metric, last.Metric);

        static TrainingData Rows(int seed)
        {
            float[] features = Sample.Floats(400, seed, mean: 100, deviation: 20);
            float[] targets = [.. features.Chunk(2).Select(row => row[0] > row[1] ? 1f : 0)];
            return new TrainingData(200, features, targets);
        }
    }

    [TestMethod]
    public void What_is_measured_leaves_the_training_itself_alone()
    {
        TrainingOptions options = Runs.Options with { Epochs = 4, RecomputeStatistics = true };
        TrainingData data = Runs.Data(12);
        NetworkState unmeasured = NetworkTrainer.Train(Runs.Network, Runs.State, data, options).Checkpoint.State;
        NetworkState measured = NetworkTrainer.Train(
            Runs.Network, Runs.State, data, options with { EvaluateTrainingData = true, RecordStatistics = true },
            validation).Checkpoint.State;
        Assert.AreEqual(unmeasured, measured);
    }

    [TestMethod]
    public void Statistics_that_did_not_move_are_not_recomputed()
    {
        var engine = new RecordingEngine();
        NetworkTrainer.Train(
            Runs.Network.Freeze("norm"), Runs.State, Runs.Data(10), Runs.Options with { RecomputeStatistics = true },
            engine: engine);
        Assert.AreEqual(0, engine.Last.Recomputed.Count);
    }

    static TrainingOptions Options(EarlyStopping? stopping) =>
        Runs.Options with { Epochs = 6, EarlyStopping = stopping };

    /// <summary>With these validation losses, epoch by epoch of three steps.</summary>
    static RecordingEngine Engine(params float[] losses) =>
        new() { Output = steps => MathF.Sqrt(losses[(int)steps / 3 - 1]) };

    static TrainingResult Train(EarlyStopping? stopping, params float[] losses) =>
        Runs.Train(Engine(losses), Options(stopping), validation: validation);
}
