namespace Microsoft.ML.BatchNorm.Tests.Diagnosis;

[TestClass]
public class MergeStatisticsTests
{
    static readonly Network network = Network.Input(4).BatchNormalization(name: "input").Dense(5).ReLU()
        .BatchNormalization(name: "hidden").Dense(2).WithPreset(NetworkPreset.PyTorch);

    static readonly float[] old = Sample.Floats(50 * 4, 1), fresh = Sample.Floats(30 * 4, 2, 2, 3);

    static readonly NetworkState state = NetworkTrainer.RecomputeStatistics(network, network.Initialize(1), old);

    [TestMethod]
    public void By_numbers_the_first_layer_gets_the_statistics_of_all_rows_together()
    {
        NetworkState merged = NetworkTrainer.MergeStatistics(network, state, fresh);
        NetworkState together = NetworkTrainer.RecomputeStatistics(network, state, (float[])[.. old, .. fresh]);

        BatchNormalizationState mine = merged["input"].BatchNormalization!, whole = together["input"].BatchNormalization!;
        Agreement.Within(1e-12, whole.MovingMean, mine.MovingMean);
        Agreement.Within(1e-12, whole.MovingVariance, mine.MovingVariance);
        Assert.AreEqual(80, mine.GetPopulation()!.Count[0]);
    }

    [TestMethod]
    public void By_a_weight_the_variance_has_the_distance_of_the_means()
    {
        const double Weight = 0.3;
        BatchNormalizationState before = state["input"].BatchNormalization!;
        BatchNormalizationState exact =
            NetworkTrainer.RecomputeStatistics(network, state, fresh)["input"].BatchNormalization!;

        BatchNormalizationState merged =
            NetworkTrainer.MergeStatistics(network, state, fresh, Weight)["input"].BatchNormalization!;

        for (int c = 0; c < 4; c++)
        {
            double distance = exact.MovingMean[c] - before.MovingMean[c];
            Assert.AreEqual(0.7 * before.MovingMean[c] + 0.3 * exact.MovingMean[c], merged.MovingMean[c], 1e-12);
            Assert.AreEqual(
                0.7 * before.MovingVariance[c] + 0.3 * exact.MovingVariance[c] + 0.21 * distance * distance,
                merged.MovingVariance[c], 1e-12);
        }
        Assert.IsNull(merged.GetPopulation());
    }

    [TestMethod]
    public void A_later_layer_gets_what_the_earlier_ones_give_with_merged_statistics()
    {
        NetworkState merged = NetworkTrainer.MergeStatistics(network, state, fresh, 0.5);
        NetworkState firstOnly = state.With("input", merged["input"]);
        Network until = network.Before("hidden");
        var statistics = new BatchStatistics(5);
        statistics.Add(
            ChannelLayout.Features(30, 5), until.Forward(firstOnly.For(until), fresh, training: false).Outputs);

        for (int c = 0; c < 5; c++)
            Assert.AreEqual(
                0.5 * state["hidden"].BatchNormalization!.MovingMean[c] + 0.5 * statistics.Mean[c],
                merged["hidden"].BatchNormalization!.MovingMean[c], 1e-6);
    }

    [TestMethod]
    public void The_ends_of_the_weights_are_nothing_and_everything()
    {
        NetworkState all = NetworkTrainer.MergeStatistics(network, state, fresh, 1);
        NetworkState recomputed = NetworkTrainer.RecomputeStatistics(network, state, fresh);

        Assert.AreEqual(state, NetworkTrainer.MergeStatistics(network, state, fresh, 0));
        foreach (string path in (string[])["input", "hidden"])
        {
            Agreement.SameBits<double>(
                recomputed[path].BatchNormalization!.MovingMean, all[path].BatchNormalization!.MovingMean, path);
            Agreement.SameBits<double>(
                recomputed[path].BatchNormalization!.MovingVariance, all[path].BatchNormalization!.MovingVariance, path);
        }
    }

    [TestMethod]
    public void Frozen_layers_keep_their_statistics_until_they_are_named()
    {
        Network frozen = network.Freeze("input");

        NetworkState merged = NetworkTrainer.MergeStatistics(frozen, state, fresh, 0.5),
            named = NetworkTrainer.MergeStatistics(frozen.Unfreeze("input"), state, fresh, 0.5);

        Assert.AreEqual(state["input"], merged["input"]);
        Assert.AreNotEqual(state["hidden"], merged["hidden"]);
        Assert.AreNotEqual(state["input"], named["input"]);
    }

    [TestMethod]
    public void Without_a_weight_the_numbers_must_be_known()
    {
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => NetworkTrainer.MergeStatistics(network, network.Initialize(), fresh));

        Assert.Contains("'input'", error.Message);
        Assert.Contains("give a weight", error.Message);
    }

    [TestMethod]
    [DataRow(-0.1)]
    [DataRow(1.1)]
    [DataRow(double.NaN)]
    public void A_weight_is_from_0_to_1(double weight) => Assert.DoesNotContain(
        "Keras", Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => NetworkTrainer.MergeStatistics(network, state, fresh, weight)).Message);

    [TestMethod]
    public void Where_nothing_moves_that_is_an_error() => Assert.ThrowsExactly<ArgumentException>(
        () => NetworkTrainer.MergeStatistics(network.Freeze("*"), state, fresh, 0.5));
}
