namespace Microsoft.ML.BatchNorm.Tests.Networks.Inference;

[TestClass]
public class ActivationTests
{
    static readonly float[] inputs =
    [
        .. Enumerable.Range(-4000, 8001).Select(i => i / 333f),
        .. Enumerable.Range(0, 200).SelectMany(i => new[] { MathF.Pow(2, -i / 2f), -MathF.Pow(2, -i / 2f) }),
        0f, -0f, 100f, -100f, -89f, -110f, -110.1f, 3f, -3f, 6f, 1e30f, -1e30f,
    ];

    [TestMethod]
    [DataRow(Activation.ReLU, 0)]
    [DataRow(Activation.LeakyReLU, 1e-7)]
    [DataRow(Activation.Gelu, 2e-7)]
    [DataRow(Activation.Sigmoid, 4e-7)]
    [DataRow(Activation.Tanh, 1e-7)]
    [DataRow(Activation.SiLU, 5e-7)]
    [DataRow(Activation.HardSwish, 3e-7)]
    [DataRow(Activation.HardSigmoid, 2e-7)]
    [DataRow(Activation.ReLU6, 0)]
    public void Every_value_is_exact_to_a_few_units_in_the_last_place_of_a_float(Activation function, double tolerance)
    {
        var layer = new ActivationLayer(function);
        float[] outputs = Run(layer, inputs);
        for (int i = 0; i < inputs.Length; i++)
        {
            double expected = NaiveNetwork.Activation(layer, inputs[i]);
            // What is below a float's smallest normal number may be anything below it.
            double bound = Math.Max(tolerance * Math.Abs(expected), 2e-38);
            Assert.AreEqual(expected, outputs[i], bound, $"{function} of {inputs[i]:R}");
        }
    }

    [TestMethod]
    [DataRow(Activation.ReLU, 0, float.PositiveInfinity)]
    [DataRow(Activation.LeakyReLU, float.NegativeInfinity, float.PositiveInfinity)]
    [DataRow(Activation.Gelu, 0, float.PositiveInfinity)]
    [DataRow(Activation.Sigmoid, 0, 1)]
    [DataRow(Activation.Tanh, -1, 1)]
    [DataRow(Activation.SiLU, 0, float.PositiveInfinity)]
    [DataRow(Activation.HardSwish, 0, float.PositiveInfinity)]
    [DataRow(Activation.HardSigmoid, 0, 1)]
    [DataRow(Activation.ReLU6, 0, 6)]
    public void Infinities_have_their_limits_and_NaN_stays_in_serving_and_in_training(
        Activation function, float below, float above)
    {
        var layer = new ActivationLayer(function);
        float[] x = [float.NegativeInfinity, float.PositiveInfinity, float.NaN];
        CollectionAssert.AreEqual(new[] { below, above, float.NaN }, Run(layer, x));
        CollectionAssert.AreEqual(
            new[] { below, above, float.NaN }, ActivationProbe.Values(new CpuEngine(1), layer, x));
    }

    [TestMethod]
    [DataRow(0.0)]
    [DataRow(-0.0)]
    [DataRow(1e-50)]
    public void LeakyReLU_without_slope_is_ReLU_to_the_bit_in_serving_and_in_training(double slope)
    {
        var leaky = new ActivationLayer(Activation.LeakyReLU) { NegativeSlope = slope };
        float[] x = [float.NegativeInfinity, .. inputs];
        Agreement.SameBits<float>(Run(new ActivationLayer(Activation.ReLU), x), Run(leaky, x), "outputs");
        var options = new TrainingOptions
        {
            Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(0.1), Epochs = 2, BatchSize = 8,
        };
        var data = new TrainingData(30, Sample.Floats(60, 1), Sample.Floats(30, 2));
        Network plain = Network.Input(2).Dense(5);
        foreach (Network network in (Network[])[plain.BatchNormalization(), plain])
        {
            Network expected = network.Add(new ActivationLayer(Activation.ReLU) { Name = "act" }).Dense(1);
            Network actual = network.Add(leaky with { Name = "act" }).Dense(1);
            NetworkState start = expected.Initialize(1);
            Assert.AreEqual(
                NetworkTrainer.Train(expected, start, data, options).State,
                NetworkTrainer.Train(actual, start, data, options).State);
        }
    }

    static float[] Run(ActivationLayer layer, float[] x)
    {
        Network network = Network.Input(x.Length).Add(layer);
        float[] y = new float[x.Length];
        new NetworkModel(network, network.Initialize()).Predict(x, y);
        return y;
    }
}
