namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Build;

/// <summary>The engine's package in an empty project.</summary>
[TestClass]
public class PackageInstallTests
{
    const string Core = "Microsoft.ML.BatchNorm.Core", Library = "Microsoft.ML.BatchNorm.TorchSharp";

    /// <summary>Trains on libtorch's CPU, serves without it, and recomputes a TorchSharp module's statistics.</summary>
    const string Program = """
        using Microsoft.ML.BatchNorm;
        using Microsoft.ML.BatchNorm.TorchSharp;
        using static TorchSharp.torch;

        float[] features = new float[200], targets = new float[100];
        var random = new Random(1);
        for (int row = 0; row < targets.Length; row++)
        {
            targets[row] = row % 2;
            features[2 * row] = 10 + 5 * targets[row] + random.NextSingle();
            features[2 * row + 1] = 100 * random.NextSingle();
        }
        Network network = Network.Input(2).BatchNormalization().Dense(8, useBias: false).BatchNormalization().ReLU()
            .Dense(2);
        TrainingResult result = NetworkTrainer.Train(
            network, network.Initialize(1), new TrainingData(100, features, targets),
            new TrainingOptions
            {
                Epochs = 20, BatchSize = 20, Optimizer = Optimizer.Adam(0.05), RecomputeStatistics = true,
            },
            engine: new TorchEngine("cpu"));
        float[] outputs = new NetworkModel(network, result.State).Predict(features);
        Console.WriteLine(Enumerable.Range(0, 100).Count(
            row => (outputs[2 * row + 1] > outputs[2 * row]) == (targets[row] == 1)));

        var module = nn.BatchNorm1d(2);
        Console.WriteLine(module.RecomputeStatistics([tensor(features, [100, 2])]));
        Console.WriteLine(module.FreezeBatchNormalization());

        """;

    [TestMethod]
    public void An_empty_project_that_installs_it_trains_on_the_CPU()
    {
        using var feed = new PackageFeed(Core, Library);
        var project = new EmptyProject(feed);
        string[] lines = project.Run(Program, [Library, Native.Package]).TrimEnd().ReplaceLineEndings("\n").Split('\n');
        CollectionAssert.AreEqual(new[] { "100", "1", "1" }, lines, string.Join(", ", lines));
        CollectionAssert.AreEquivalent(
            new[] { Core.ToLowerInvariant(), Library.ToLowerInvariant() }, project.Installed);
    }
}
