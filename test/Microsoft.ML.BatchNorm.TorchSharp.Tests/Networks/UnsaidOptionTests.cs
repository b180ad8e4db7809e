namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>A network whose layers say nothing is one of Keras's, on every engine.</summary>
[TestClass]
public class UnsaidOptionTests
{
    [TestMethod]
    public void A_network_without_options_trains_to_the_same_bits_as_one_with_Keras_s_preset()
    {
        Network unsaid = Of(Network.Input(5)), keras = Of(Network.Input(5).WithPreset(NetworkPreset.Keras));
        Assert.IsNull(((BatchNormalizationLayer)unsaid.Nodes[1].Layer).Options.Epsilon);
        var random = new Random(1);
        float[] features = [.. Enumerable.Range(0, 5 * 64).Select(_ => random.NextSingle())];
        float[] classes = [.. Enumerable.Range(0, 64).Select(i => (float)(i % 3))];
        var data = new TrainingData(64, features, classes);
        var options = new TrainingOptions { Epochs = 3, BatchSize = 16 };
        foreach (ITrainingEngine engine in (ITrainingEngine[])[new CpuEngine(), new TorchEngine("cpu")])
            Assert.AreEqual(Trained(keras, engine), Trained(unsaid, engine));

        NetworkState Trained(Network network, ITrainingEngine engine) =>
            NetworkTrainer.Train(network, network.Initialize(1), data, options, engine: engine).State;

        static Network Of(Network input) => input.Dense(8).BatchNormalization().LeakyReLU().Dense(3);
    }
}
