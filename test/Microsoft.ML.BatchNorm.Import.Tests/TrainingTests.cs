namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>An imported network is trained on.</summary>
[TestClass]
public class TrainingTests
{
    const int Rows = 24, Classes = 3;

    static readonly SavedNetwork pretrained =
        OnnxImport.Load(Path.Combine(AppContext.BaseDirectory, "Files", "resnet.onnx"));

    static readonly TrainingData data = new(
        Rows, Sample.Floats(Rows * pretrained.Network.InputShape.Size, seed: 1),
        Enumerable.Range(0, Rows).Select(row => (float)(row % Classes)).ToArray());

    static TrainingResult Train(Network network) => NetworkTrainer.Train(
        network, network.Initialize(pretrained.State, seed: 1), data,
        new TrainingOptions { Epochs = 8, BatchSize = 8, Optimizer = Optimizer.Adam(0.003), Seed = 1 });

    static string[] Normalizations => [.. pretrained.Network.Nodes
        .Where(node => node.Layer is BatchNormalizationLayer).Select(node => node.Path)];

    [TestMethod]
    public void With_frozen_normalizations_they_keep_every_bit_and_the_others_learn()
    {
        Network network = pretrained.Network.WithHead(Classes).Freeze(Normalizations);
        TrainingResult result = Train(network);
        foreach (string path in Normalizations)
            Assert.AreEqual(pretrained.State[path], result.State[path], path);
        Assert.AreNotEqual(pretrained.State["layer1.0.conv1"], result.State["layer1.0.conv1"]);
        Assert.IsLessThan(result.History[0].Loss, result.History[^1].Loss);
    }

    [TestMethod]
    public void With_statistics_kept_gamma_and_beta_learn()
    {
        Network network = pretrained.Network.WithHead(Classes).WithBatchNormalization(
            options => options with { UpdateStatistics = false }, Normalizations);
        TrainingResult result = Train(network);
        foreach (string path in Normalizations)
        {
            BatchNormalizationState before = pretrained.State[path].BatchNormalization!;
            BatchNormalizationState after = result.State[path].BatchNormalization!;
            CollectionAssert.AreEqual(before.MovingMean.ToArray(), after.MovingMean.ToArray(), path);
            CollectionAssert.AreEqual(before.MovingVariance.ToArray(), after.MovingVariance.ToArray(), path);
            CollectionAssert.AreNotEqual(before.Gamma.ToArray(), after.Gamma.ToArray(), path);
        }
        Assert.IsLessThan(result.History[0].Loss, result.History[^1].Loss);
    }

    [TestMethod]
    public void Trained_normalizations_move_their_statistics_and_learn()
    {
        TrainingResult result = Train(pretrained.Network.WithHead(Classes));
        foreach (string path in Normalizations)
        {
            BatchNormalizationState before = pretrained.State[path].BatchNormalization!;
            BatchNormalizationState after = result.State[path].BatchNormalization!;
            CollectionAssert.AreNotEqual(before.MovingMean.ToArray(), after.MovingMean.ToArray(), path);
            CollectionAssert.AreNotEqual(before.Gamma.ToArray(), after.Gamma.ToArray(), path);
        }
        Assert.IsLessThan(result.History[0].Loss, result.History[^1].Loss);
    }

    [TestMethod]
    public void A_frozen_block_keeps_every_bit()
    {
        TrainingResult result = Train(pretrained.Network.WithHead(Classes).Freeze("conv1", "bn1", "layer1*"));
        foreach (string path in (string[])["conv1", "bn1", "layer1.0.conv1", "layer1.0.bn2"])
            Assert.AreEqual(pretrained.State[path], result.State[path], path);
        Assert.AreNotEqual(pretrained.State["layer2.0.conv1"], result.State["layer2.0.conv1"]);
    }

    [TestMethod]
    public void It_is_saved_and_loaded_as_any_network()
    {
        var stream = new MemoryStream();
        pretrained.Network.Save(stream, pretrained.State);
        stream.Position = 0;
        Assert.AreEqual(pretrained, Network.Load(stream));
    }
}
