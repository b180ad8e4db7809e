namespace Microsoft.ML.BatchNorm.Tests.Networks;

[TestClass]
public class DefinitionSwitchTests
{
    static readonly Network inner = Network.Input(2).Dense(2).BatchNormalization();

    static readonly Network network = Network.Input(2)
        .Append(Network.Input(2).Append(inner, "deep").Dense(2), "base").Dense(2).BatchNormalization().ReLU().Dense(2);

    [TestMethod]
    [DataRow("dense", "dense")]
    [DataRow("base", "base/deep/dense base/deep/batch_normalization base/dense")]
    [DataRow("base/deep", "base/deep/dense base/deep/batch_normalization")]
    [DataRow("*", "base/deep/dense base/deep/batch_normalization base/dense dense batch_normalization re_lu dense_1")]
    [DataRow("*dense", "base/deep/dense base/dense dense")]
    [DataRow("dense*", "dense dense_1")]
    [DataRow("dense_?", "dense_1")]
    [DataRow("*batch*", "base/deep/batch_normalization batch_normalization")]
    [DataRow("b*/deep", "base/deep/dense base/deep/batch_normalization")]
    public void Freezing_by_a_pattern_freezes_the_layers_it_matches_and_all_in_the_networks_it_matches(
        string pattern, string frozen)
    {
        Assert.AreEqual(frozen, Frozen(network.Freeze(pattern)));
        Assert.AreEqual(network, network.Freeze(pattern).Unfreeze(pattern));
        Network thawed = network.Freeze("*").Unfreeze(pattern);
        Assert.AreEqual(
            frozen, string.Join(" ", thawed.Nodes.Where(node => node.IsTrainable).Select(node => node.Path)));
    }

    [TestMethod]
    public void A_pattern_that_matches_nothing_is_an_error_that_lists_the_layers()
    {
        foreach (string pattern in (string[])["Dense", "dense/x", "deep", "", "bas"])
        {
            StringAssert.Contains(
                Assert.ThrowsExactly<ArgumentException>(() => network.Freeze("dense", pattern)).Message,
                $"'{pattern}' matches no layer; there are base/deep/dense, base/deep/batch_normalization, ");
        }
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => network.Unfreeze()).Message, "give '*' for all");
        Assert.ThrowsExactly<ArgumentException>(() => Network.Input(2).Freeze("*"));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.Freeze(null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.Freeze("dense", null!));
        Assert.ThrowsExactly<ArgumentNullException>(() => network.WithBatchNormalization(null!, "*"));
    }

    [TestMethod]
    public void What_is_frozen_stays_so_through_every_later_call_until_it_is_unfrozen_by_name()
    {
        Network frozen = network.Freeze("base", "batch_normalization");
        string before = Frozen(frozen);
        Network later = frozen.Add(new DenseLayer(2)).Dense(2).Append(inner, "more").WithPreset(NetworkPreset.PyTorch)
            .Unfreeze("dense").Freeze("re_lu").Unfreeze("re_lu").BatchNormalization()
            .WithBatchNormalization(options => BatchNormalizationOptions.PyTorch with { Trainable = true }, "*")
            .WithBatchNormalization(options => options with { UpdateStatistics = false, TrainAffine = true }, "*");
        Assert.AreEqual(before, Frozen(later));
        Assert.AreEqual(before, Frozen(later.Until("re_lu")));
        string all = Frozen(Network.Input(2).Append(later, "outer"));
        Assert.AreEqual(string.Join(" ", before.Split(' ').Select(path => "outer/" + path)), all);
        Assert.AreEqual("", Frozen(later.Unfreeze("base", "batch_normalization")));
    }

    [TestMethod]
    public void A_batch_normalization_has_one_switch_whichever_of_its_two_is_set()
    {
        BatchNormalizationOptions off = new() { Trainable = false };
        Network byOptions = Network.Input(2).BatchNormalization(off);
        Network byLayer = Network.Input(2).Add(new BatchNormalizationLayer { Trainable = false });
        Network byName = Network.Input(2).BatchNormalization().Freeze("*");
        Network byChange = Network.Input(2).BatchNormalization()
            .WithBatchNormalization(options => options with { Trainable = false }, "*");
        Network byFirst = Network.Input(2).Add(new BatchNormalizationLayer { Trainable = false, Options = new() });
        foreach (Network frozen in (Network[])[byOptions, byLayer, byName, byChange, byFirst])
        {
            Assert.AreEqual(byName, frozen);
            Assert.IsFalse(frozen.Nodes[0].IsTrainable);
            Assert.AreEqual(0, frozen.Nodes[0].TrainableCount);
            Assert.IsFalse(((BatchNormalizationLayer)frozen.Nodes[0].Layer).Options.Trainable);
            Assert.IsTrue(frozen.Unfreeze("*").Nodes[0].IsTrainable);
        }
        Assert.IsTrue(new BatchNormalizationLayer(off) { Trainable = true }.Options.Trainable);
    }

    [TestMethod]
    public void A_batch_normalization_of_which_nothing_can_change_is_not_trainable_but_not_frozen_either()
    {
        BatchNormalizationOptions
            off = new() { UpdateStatistics = false, TrainAffine = false },
            plain = new() { UpdateStatistics = false, Scale = false, Center = false },
            untracked = new() { TrackMovingStatistics = false, TrainAffine = false };
        foreach (BatchNormalizationOptions options in (BatchNormalizationOptions[])[off, plain, untracked])
        {
            Network still = Network.Input(2).BatchNormalization(options, name: "norm");
            Assert.IsFalse(still.Nodes[0].IsTrainable);
            Assert.AreEqual(0, still.Nodes[0].TrainableCount);
            StringAssert.EndsWith(still.Summary().ReplaceLineEndings("\n").Split('\n')[2], "  no");
            Assert.AreEqual(still, still.Unfreeze("norm"));
            Network again = still.WithBatchNormalization(_ => new(), "norm");
            Assert.IsTrue(again.Nodes[0].IsTrainable);
        }
        foreach (BatchNormalizationOptions options in (BatchNormalizationOptions[])[
                     off with { TrainAffine = true }, off with { UpdateStatistics = true },
                     plain with { UpdateStatistics = true }, plain with { Scale = true },
                     untracked with { TrainAffine = true }])
            Assert.IsTrue(Network.Input(2).BatchNormalization(options).Nodes[0].IsTrainable);
    }

    [TestMethod]
    public void A_network_that_is_appended_frozen_has_every_layer_frozen_and_can_be_unfrozen_by_name()
    {
        Network outer = Network.Input(2).Append(network.Freeze("*"), "base");
        Assert.AreEqual(network.Nodes.Count, outer.Nodes.Count(node => !node.IsTrainable));
        Assert.AreEqual(
            "base/base/dense", outer.Unfreeze("base/base/dense").Nodes.Single(node => node.IsTrainable).Path);
        Assert.AreEqual(Network.Input(2), Network.Input(2).Append(Network.Input(2), "base"));
    }

    [TestMethod]
    public void Batch_normalizations_get_other_options_by_pattern_but_keep_their_axis()
    {
        Network images = Network.Input(3, 4, 4).BatchNormalization(axis: 2, name: "bn").ReLU().BatchNormalization();
        Network changed = images.WithBatchNormalization(options => BatchNormalizationOptions.Keras, "bn", "re_lu")
            .WithBatchNormalization(options => options with { Momentum = 0.5 }, "b*n");
        Assert.AreEqual(
            Network.Input(3, 4, 4)
                .BatchNormalization(BatchNormalizationOptions.Keras with { Momentum = 0.5 }, axis: 2, name: "bn").ReLU()
                .BatchNormalization(new() { Momentum = 0.5 }),
            changed);
        Assert.ThrowsExactly<ArgumentException>(() => images.WithBatchNormalization(options => null!, "*"));
        Assert.ThrowsExactly<ArgumentException>(() => images.WithBatchNormalization(
            options => options with { Renorm = new(), VirtualBatchSize = 4 }, "*"));
    }

    [TestMethod]
    public void The_summary_has_shapes_parameters_switches_and_totals()
    {
        Network summarized = Network.Input(64).Append(Network.Input(64).Dense(128).BatchNormalization(), "base").ReLU()
            .BatchNormalization(new() { UpdateStatistics = false }).BatchNormalization(new() { TrainAffine = false })
            .Dense(10).Freeze("base/dense");
        string[] expected =
        [
            "Layer (type)                                   Output Shape  Param #  Trainable",
            "---------------------------------------------  ------------  -------  -----------",
            "base/dense (Dense)                             (None, 128)     8,320  no",
            "base/batch_normalization (BatchNormalization)  (None, 128)       512  yes",
            "re_lu (ReLU)                                   (None, 128)         0  -",
            "batch_normalization (BatchNormalization)       (None, 128)       512  gamma, beta",
            "batch_normalization_1 (BatchNormalization)     (None, 128)       512  statistics",
            "dense (Dense)                                  (None, 10)      1,290  yes",
            "",
            "Total params: 11,146",
            "Trainable params: 1,802",
            "Non-trainable params: 9,344",
        ];
        CollectionAssert.AreEqual(expected, summarized.Summary().TrimEnd().ReplaceLineEndings("\n").Split('\n'));
        Assert.AreEqual(summarized.Summary(), summarized.ToString());
    }

    static string Frozen(Network network) =>
        string.Join(" ", network.Nodes.Where(node => !node.IsTrainable).Select(node => node.Path));
}
