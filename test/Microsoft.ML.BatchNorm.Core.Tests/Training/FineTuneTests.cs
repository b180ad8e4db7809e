namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class FineTuneTests
{
    static readonly Network network = Network.Input(2)
        .Dense(3, name: "first").BatchNormalization(name: "norm").ReLU()
        .Append(Network.Input(3).Dense(4, name: "second").BatchNormalization(name: "deep"), "inner")
        .Dense(1, name: "top");

    static readonly NetworkState state = network.Initialize(1);

    [TestMethod]
    public void The_head_trains_alone_first_over_a_base_in_inference_mode()
    {
        RecordingSession head = Run(FineTuneBatchNormalization.KeepStatistics).Sessions[0];
        CollectionAssert.AreEqual(new[] { "top" }, Trainable(head.Network));
        foreach (string path in new[] { "first", "norm", "inner/second", "inner/deep" })
            Assert.AreEqual(state[path], head.GetState()[path], path);
        Assert.AreNotEqual(state["top"], head.GetState()["top"]);
    }

    [TestMethod]
    public void A_plan_of_the_head_only_is_the_first_phase_of_head_then_all()
    {
        FineTuningPlan plan = FineTune.HeadOnly(2, 0.25);
        TrainingPhase only = plan.Phases.Single();
        Assert.AreEqual((FineTune.HeadPhase, 2, 0.25), (only.Name, only.Epochs, only.LearningRate));
        Assert.AreEqual(FineTune.HeadThenAll(2, 4, 0.25, 0.125).Phases[0].Switches(network), only.Switches(network));
        CollectionAssert.AreEqual(new[] { "top" }, Trainable(only.Switches(network)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => FineTune.HeadOnly(0, 0.25));
    }

    [TestMethod]
    [DataRow(FineTuneBatchNormalization.KeepFrozen, false, false)]
    [DataRow(FineTuneBatchNormalization.KeepStatistics, true, false)]
    [DataRow(FineTuneBatchNormalization.Train, true, true)]
    public void Then_all_layers_train_and_the_bases_normalizations_as_asked(
        FineTuneBatchNormalization batchNormalization, bool learns, bool moves)
    {
        Network all = Run(batchNormalization).Sessions[1].Network;
        foreach (string path in new[] { "norm", "inner/deep" })
        {
            var layer = (BatchNormalizationLayer)all.GetNode(path).Layer;
            Assert.AreEqual(learns, all.GetNode(path).IsTrainable, path);
            Assert.AreEqual(moves, layer.Options.MovesStatistics(training: true), path);
        }
        foreach (string path in new[] { "first", "inner/second", "top" })
            Assert.IsTrue(all.GetNode(path).IsTrainable, path);
    }

    [TestMethod]
    public void Each_phase_has_its_epochs_its_learning_rate_and_a_fresh_optimizer_on_what_the_one_before_left()
    {
        RecordingEngine engine = Run(FineTuneBatchNormalization.Train);
        Assert.AreEqual(2, engine.Sessions.Count);
        Assert.AreEqual((2 * 3, 0.25), (engine.Sessions[0].Rates.Count, engine.Sessions[0].Rates[0]));
        Assert.AreEqual((4 * 3, 0.125), (engine.Sessions[1].Rates.Count, engine.Sessions[1].Rates[0]));
        Assert.AreEqual(0.125, engine.Sessions[1].Options.Optimizer.LearningRate);
        Assert.AreEqual(12, engine.Sessions[1].Steps);
        Assert.AreEqual(engine.Sessions[0].GetState(), engine.Sessions[1].First);
    }

    [TestMethod]
    public void The_epochs_of_all_phases_have_orders_of_their_own()
    {
        RecordingEngine engine = Run(FineTuneBatchNormalization.Train);
        string[] orders = [.. engine.Sessions.SelectMany(session => session.Batches.Chunk(3))
            .Select(epoch => string.Join(' ', epoch.SelectMany(rows => rows)))];
        Assert.AreEqual(6, orders.Distinct().Count());
    }

    [TestMethod]
    public void History_and_progress_name_the_phases_and_the_result_has_the_users_own_switches()
    {
        Network given = network.Freeze("first")
            .WithBatchNormalization(options => options with { TrainAffine = false }, "norm");
        var reports = new Reports();
        TrainingResult result = NetworkTrainer.Train(
            given, state, Runs.Data(10), Runs.Options, Plan(FineTuneBatchNormalization.KeepFrozen),
            engine: new RecordingEngine(), progress: reports);
        Assert.AreEqual(given, result.Network);
        string[] expected = ["head 1", "head 2", "all 1", "all 2", "all 3", "all 4"];
        CollectionAssert.AreEqual(expected, result.History.Select(epoch => $"{epoch.Phase} {epoch.Epoch}").ToArray());
        CollectionAssert.AreEqual(
            expected,
            reports.All.Where(report => report.IsEndOfEpoch).Select(end => $"{end.Phase} {end.Epoch}").ToArray());
    }

    [TestMethod]
    public void A_layer_that_the_user_froze_stays_frozen_in_every_phase()
    {
        var engine = new RecordingEngine();
        TrainingResult result = NetworkTrainer.Train(
            network.Freeze("first", "inner/deep"), state, Runs.Data(10), Runs.Options,
            Plan(FineTuneBatchNormalization.Train), engine: engine);
        CollectionAssert.AreEqual(new[] { "norm", "inner/second", "top" }, Trainable(engine.Sessions[1].Network));
        Assert.AreEqual(state["first"], result.State["first"]);
        Assert.AreEqual(state["inner/deep"], result.State["inner/deep"]);
    }

    [TestMethod]
    public void A_frozen_head_is_an_ArgumentException()
    {
        var error = Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Train(
            network.Freeze("top"), state, Runs.Data(10), Runs.Options, Plan(FineTuneBatchNormalization.Train)));
        StringAssert.Contains(error.Message, "'top'");
    }

    [TestMethod]
    public void A_phase_that_unfreezes_or_changes_layers_is_an_ArgumentException()
    {
        Assert.ThrowsExactly<ArgumentException>(() => Train(given => given.Unfreeze("first")));
        Assert.ThrowsExactly<ArgumentException>(() => Train(given => given.Dense(1)));
        Assert.ThrowsExactly<ArgumentException>(() => Train(given => null!));

        static void Train(Func<Network, Network> switches) => NetworkTrainer.Train(
            network.Freeze("first"), state, Runs.Data(10), Runs.Options,
            new FineTuningPlan(new TrainingPhase("mine", 1, 0.1, switches)));
    }

    [TestMethod]
    public void A_plan_without_phases_or_with_two_of_one_name_is_an_ArgumentException()
    {
        Assert.ThrowsExactly<ArgumentException>(() => new FineTuningPlan());
        var phase = new TrainingPhase("mine", 1, 0.1, given => given);
        Assert.ThrowsExactly<ArgumentException>(() => new FineTuningPlan(phase, phase with { Epochs = 2 }));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ = phase with { Epochs = 0 });
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ = phase with { LearningRate = -1 });
    }

    [TestMethod]
    public void Early_stopping_begins_anew_in_each_phase_and_each_ends_with_its_best_epoch()
    {
        // Losses by the steps of a phase: the first epoch is the best of both.
        var engine = new RecordingEngine { Output = steps => steps };
        TrainingOptions options = Runs.Options with { EarlyStopping = new EarlyStopping { Patience = 2 } };
        TrainingResult result = NetworkTrainer.Train(
            network, state, Runs.Data(10), options, FineTune.HeadThenAll(5, 5, 0.25, 0.125), Runs.Data(2), engine);
        Assert.AreEqual(6, result.History.Length);
        Assert.AreEqual((true, 1), (result.StoppedEarly, result.BestEpoch));
        Assert.AreNotEqual(engine.Sessions[0].GetState(), engine.Sessions[1].First);
    }

    [TestMethod]
    public void On_the_CPU_a_base_that_keeps_its_statistics_keeps_their_bits_while_gamma_and_beta_learn()
    {
        var data = new TrainingData(32, Sample.Floats(64, 1), Sample.Floats(32, 2));
        TrainingResult result = NetworkTrainer.Train(
            network, state, data, Runs.Options, FineTune.HeadThenAll(1, 2, 0.01, 0.01));
        foreach (string path in new[] { "norm", "inner/deep" })
        {
            BatchNormalizationState before = state[path].BatchNormalization!;
            BatchNormalizationState after = result.State[path].BatchNormalization!;
            Agreement.SameBits(before.MovingMean, after.MovingMean, path);
            Agreement.SameBits(before.MovingVariance, after.MovingVariance, path);
            Assert.IsFalse(before.Gamma.SequenceEqual(after.Gamma), path);
        }
    }

    static FineTuningPlan Plan(FineTuneBatchNormalization batchNormalization) =>
        FineTune.HeadThenAll(2, 4, 0.25, 0.125, batchNormalization);

    static RecordingEngine Run(FineTuneBatchNormalization batchNormalization)
    {
        var engine = new RecordingEngine();
        NetworkTrainer.Train(network, state, Runs.Data(10), Runs.Options, Plan(batchNormalization), engine: engine);
        return engine;
    }

    static string[] Trainable(Network given) =>
        [.. given.Nodes.Where(node => node.IsTrainable && node.ParameterCount > 0).Select(node => node.Path)];
}
