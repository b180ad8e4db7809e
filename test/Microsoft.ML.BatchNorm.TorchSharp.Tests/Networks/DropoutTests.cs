namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>What dropout chooses is random to the eye, and a function of seed, step and layer.</summary>
[TestClass]
public class DropoutTests
{
    const int Count = 1 << 20;

    [TestMethod]
    [DataRow(0.1)]
    [DataRow(0.5)]
    [DataRow(0.9)]
    public void The_share_that_is_dropped_is_the_rate(double rate)
    {
        float[] kept = Draw(rate, key: 1);
        double deviation = Math.Sqrt(rate * (1 - rate) / Count);
        Assert.AreEqual(1 - rate, kept.Average(), 5 * deviation);
        Assert.IsTrue(kept.All(value => value is 0 or 1));
    }

    [TestMethod]
    public void Neighboring_values_steps_and_layers_are_independent()
    {
        float[] values = Draw(0.5, CounterRandom.Key(1, 1)), step = Draw(0.5, CounterRandom.Key(1, 2));
        Assert.AreEqual(0.5, Agreeing(values, step), 5 * 0.5 / Math.Sqrt(Count));
        foreach (int lag in new[] { 1, 2, 3, 64, 512, 1000 })
        {
            Assert.AreEqual(
                0.5, Agreeing(values[lag..], values[..^lag]), 5 * 0.5 / Math.Sqrt(Count - lag), $"lag {lag}");
        }
    }

    [TestMethod]
    public void The_same_key_gives_the_same_choice() => CollectionAssert.AreEqual(Draw(0.3, 7), Draw(0.3, 7));

    [TestMethod]
    public void Kept_values_are_scaled_and_inference_keeps_all()
    {
        Network network = Network.Input(1000).Dropout(0.25);
        using var scope = torch.NewDisposeScope();
        using var module = new NetworkModule(network, network.Initialize(), false, torch.CPU);
        Tensor ones = torch.ones(10, 1000);
        float[] training = Tensors.Download<float>(module.call(ones));
        Assert.IsTrue(training.All(value => value == 0 || Math.Abs(value - 1 / 0.75f) < 1e-6));
        Assert.AreEqual(1, training.Average(), 0.05);
        module.eval();
        Assert.IsTrue(Tensors.Download<float>(module.call(ones)).All(value => value == 1));
    }

    static float[] Draw(double rate, ulong key)
    {
        using var scope = torch.NewDisposeScope();
        using var random = new CounterRandom(torch.CPU);
        return Tensors.Download<float>(random.AtLeast(rate, Count, key));
    }

    static double Agreeing(float[] left, float[] right) =>
        left.Zip(right).Average(pair => pair.First == pair.Second ? 1 : 0);
}
