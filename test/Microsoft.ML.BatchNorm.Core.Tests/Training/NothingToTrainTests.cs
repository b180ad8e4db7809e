namespace Microsoft.ML.BatchNorm.Tests.Training;

/// <summary>Runs that could not learn are refused before their first step.</summary>
[TestClass]
public class NothingToTrainTests
{
    static Network Norm(Func<BatchNormalizationOptions, BatchNormalizationOptions> change) =>
        Runs.Network.Freeze("*").Unfreeze("norm").WithBatchNormalization(change, "norm");

    [TestMethod]
    public void A_network_of_which_all_layers_are_frozen_is_refused_with_the_switches_names()
    {
        StringAssert.Contains(Refusal(Runs.Network.Freeze("*")), "Nothing in the network trains: every layer");
        StringAssert.Contains(
            Refusal(Norm(o => o with { UpdateStatistics = false, TrainAffine = false })),
            "UpdateStatistics and TrainAffine off");
        Network empty = Network.Input(2).Flatten();
        Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Train(
            empty, empty.Initialize(), new TrainingData(4, new float[8], new float[8]), Runs.Options));
    }

    [TestMethod]
    public void Statistics_that_move_or_gammas_that_learn_are_enough()
    {
        foreach (Network network in new[]
                 {
                     Norm(o => o with { TrainAffine = false }), Norm(o => o with { UpdateStatistics = false }),
                 })
        {
            TrainingResult result = NetworkTrainer.Train(
                network, Runs.State, new TrainingData(10, Sample.Floats(20, 1), Sample.Floats(10, 2)), Runs.Options);
            Assert.AreNotEqual(Runs.State["norm"], result.State["norm"]);
            Assert.AreEqual(Runs.State["base"], result.State["base"]);
        }
    }

    [TestMethod]
    public void A_phase_in_which_nothing_trains_is_refused_by_name()
    {
        var plan = new FineTuningPlan(
            new TrainingPhase("one", 1, 0.1, network => network),
            new TrainingPhase("two", 1, 0.1, network => network.Freeze("*")));
        var engine = new RecordingEngine();
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => NetworkTrainer.Train(
                Runs.Network, Runs.State, Runs.Data(10), Runs.Options, plan, engine: engine)).Message,
            "Nothing in the network of phase 'two' trains");
        Assert.AreEqual(0, engine.Sessions.Count);
    }

    [TestMethod]
    public void A_phase_may_turn_on_a_switch_of_a_normalization_that_is_not_frozen()
    {
        Network given = Runs.Network.WithBatchNormalization(
            o => o with { UpdateStatistics = false, TrainAffine = false }, "norm");
        var plan = new FineTuningPlan(
            new TrainingPhase("one", 1, 0.1, network => network),
            new TrainingPhase("two", 1, 0.1, network => network.WithBatchNormalization(
                o => o with { UpdateStatistics = true }, "norm")));
        TrainingResult result = NetworkTrainer.Train(given, Runs.State, Runs.Data(10), Runs.Options, plan);
        Assert.AreNotEqual(Runs.State["norm"], result.State["norm"]);
    }

    [TestMethod]
    [DataRow(10, 1, "Layer", "Take a greater BatchSize")]
    [DataRow(1, 32, "There is 1 row to train on: layer", "Add rows")]
    public void A_batch_of_one_row_is_refused_where_a_normalization_would_give_beta_alone(
        int rows, int batchSize, string begin, string advice)
    {
        TrainingOptions options = Runs.Options with { BatchSize = batchSize };
        string message = Assert.ThrowsExactly<ArgumentException>(
            () => NetworkTrainer.Train(Runs.Network, Runs.State, Runs.Data(rows), options)).Message;
        StringAssert.StartsWith(message, $"{begin} 'norm' of the network gets a single value per channel");
        StringAssert.Contains(message, advice);
    }

    [TestMethod]
    public void Virtual_batches_of_one_row_are_refused_as_well()
    {
        Network network = Runs.Network.WithBatchNormalization(o => o with { VirtualBatchSize = 1 }, "norm");
        StringAssert.Contains(Refusal(network), "Layer 'norm'");
    }

    [TestMethod]
    public void A_batch_of_one_row_trains_frozen_kept_and_renormalized_layers_and_images()
    {
        TrainingOptions options = Runs.Options with { BatchSize = 1 };
        Network image = Network.Input(1, 1, 2).BatchNormalization(name: "norm").Flatten().Dense(1);
        Network renormalized = Network.Input(2).BatchNormalization(new() { Renorm = new() }).Dense(1);
        foreach (Network network in new[]
                 {
                     Runs.Network.Freeze("norm"), image, renormalized,
                     Runs.Network.WithBatchNormalization(o => o with { UpdateStatistics = false }, "norm"),
                 })
            Assert.AreEqual(3, NetworkTrainer.Train(
                network, network.Initialize(1), Runs.Data(10), options with { Optimizer = Optimizer.Sgd(1e-3) })
                .History.Length);
    }

    static string Refusal(Network network) => Assert.ThrowsExactly<ArgumentException>(
        () => NetworkTrainer.Train(network, Runs.State, Runs.Data(10), Runs.Options)).Message;
}
