namespace Microsoft.ML.BatchNorm.Tests.Training;

[TestClass]
public class StatisticsRefreshTests
{
    [TestMethod]
    public void Refreshed_statistics_have_the_bits_of_a_run_that_ends_with_them()
    {
        TrainingData data = Runs.Data(60);
        NetworkState Train(bool recompute) => NetworkTrainer.Train(
            Runs.Network, Runs.State, data, Runs.Options with { RecomputeStatistics = recompute }).State;
        NetworkState state = Train(recompute: false);
        NetworkState refreshed = NetworkTrainer.RecomputeStatistics(Runs.Network, state, data.Features);
        Assert.AreNotEqual(state, refreshed);
        Assert.AreEqual(Train(recompute: true), refreshed);
    }

    [TestMethod]
    public void Statistics_follow_rows_that_have_moved_and_kernels_stay()
    {
        Network network = Network.Input(2).BatchNormalization(name: "norm").Dense(3);
        NetworkState state = network.Initialize(1);
        float[] moved = Sample.Floats(400, 1, mean: 5, deviation: 2);
        NetworkState refreshed = NetworkTrainer.RecomputeStatistics(network, state, moved);
        BatchNormalizationState norm = refreshed["norm"].BatchNormalization!;
        for (int c = 0; c < 2; c++)
            Assert.AreEqual(
                moved.Where((_, i) => i % 2 == c).Average(value => (double)value), norm.MovingMean[c], 1e-6);
        Assert.AreEqual(0, norm.InitialWeight);
        Assert.AreEqual(state["dense"], refreshed["dense"]);
    }

    [TestMethod]
    public void A_plain_average_goes_on_from_refreshed_statistics()
    {
        Network network = Network.Input(2)
            .BatchNormalization(new() { MovingStatistics = MovingStatistics.Cumulative }, name: "norm").Dense(3);
        NetworkState refreshed = NetworkTrainer.RecomputeStatistics(
            network, network.Initialize(1), Sample.Floats(400, 1, mean: 5, deviation: 2));
        Assert.AreEqual(1, refreshed["norm"].BatchNormalization!.BatchesSeen);
        NetworkState next = network.Forward(refreshed, new float[2 * 4], training: true).NextState;
        Assert.AreEqual(
            refreshed["norm"].BatchNormalization!.MovingMean[0] / 2, next["norm"].BatchNormalization!.MovingMean[0],
            1e-9);
    }

    [TestMethod]
    public void A_layer_that_is_frozen_keeps_its_statistics_and_the_others_get_theirs()
    {
        Network network = Network.Input(2).BatchNormalization(name: "a").Dense(2).BatchNormalization(name: "b")
            .Freeze("a");
        NetworkState state = network.Initialize(1);
        NetworkState refreshed = NetworkTrainer.RecomputeStatistics(network, state, Sample.Floats(40, 1));
        Assert.AreEqual(state["a"], refreshed["a"]);
        Assert.AreNotEqual(state["b"], refreshed["b"]);
    }

    [TestMethod]
    public void All_rows_go_to_the_engine_that_is_given()
    {
        var engine = new RecordingEngine();
        NetworkTrainer.RecomputeStatistics(Runs.Network, Runs.State, new float[10], engine);
        CollectionAssert.AreEqual(new[] { 0, 1, 2, 3, 4 }, engine.Last.Recomputed.Single());
        Assert.IsTrue(engine.Last.IsDisposed);
    }

    [TestMethod]
    public void Features_that_are_no_rows_and_switches_that_let_nothing_move_are_errors()
    {
        foreach (int length in new[] { 0, 1, 3 })
            Assert.ThrowsExactly<ArgumentException>(
                () => NetworkTrainer.RecomputeStatistics(Runs.Network, Runs.State, new float[length]));
        Network kept = Runs.Network.WithBatchNormalization(o => o with { UpdateStatistics = false }, "norm");
        foreach (Network still in new[] { Runs.Network.Freeze("norm"), kept })
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(
                    () => NetworkTrainer.RecomputeStatistics(still, Runs.State, new float[4])).Message,
                "No statistics of the network move");
    }
}
