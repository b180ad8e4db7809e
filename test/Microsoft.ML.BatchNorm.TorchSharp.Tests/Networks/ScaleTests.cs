namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>A training step's gradient by the input of a batch normalization, at scales whose squares no float holds.</summary>
[TestClass]
public class ScaleTests
{
    const int Rows = 4;

    static readonly double[] places = [-1, -0.5, 0.25, 1];

    static IEnumerable<object[]> Cases =>
        from engine in (ITrainingEngine[])[new CpuEngine(), new TorchEngine("cpu")]
        from layer in (BatchNormalizationOptions[])
            [
                BatchNormalizationOptions.Keras,
                // libtorch's own batch normalization has no such options.
                BatchNormalizationOptions.Keras with { NonFinite = NonFinite.Ignore },
                BatchNormalizationOptions.Keras with { Epsilon = 0 },
            ]
        from scale in layer.Epsilon == 0 ? (double[])[1e-20, 1, 1e15, 1e30] : [1, 1e15, 1e30]
        // libtorch's own keeps the moving variance in float, and a state of infinity is an error.
        where scale < 1e19 || engine is CpuEngine || layer != BatchNormalizationOptions.Keras
        select new object[] { engine, layer, scale };

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void The_gradient_has_the_right_value(ITrainingEngine engine, BatchNormalizationOptions layer, double scale)
    {
        Network network = Network.Input(2).Dense(1, useBias: false, name: "k").BatchNormalization(layer, name: "bn");
        double[] x = Array.ConvertAll(places, place => (double)(float)(place * scale));
        double mean = x.Average(), variance = x.Average(value => (value - mean) * (value - mean));
        double inverse = 1 / Math.Sqrt(variance + layer.Epsilon!.Value);
        double[] y = Array.ConvertAll(x, value => (value - mean) * inverse);
        // The squared error's gradient by the outputs is 1, 0, 0, 0.
        float[] targets = [.. y.Select((value, row) => (float)(row == 0 ? value - Rows / 2.0 : value))];
        for (int seen = 0; seen < Rows; seen++)
        {
            // The second feature is 1 in one row, and 0 in the others: its weight moves by that row's gradient alone.
            float[] features = [.. x.SelectMany((value, row) => (float[])[(float)value, row == seen ? 1 : 0])];
            double expected = inverse * ((seen == 0 ? 1 : 0) - 1.0 / Rows - y[seen] * y[0] / Rows);
            using ITrainingSession session = engine.Start(
                network, network.Initialize(1).With("k", new LayerState((float[])[1, 0], (float[])[])),
                new TrainingOptions { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(1), BatchSize = Rows },
                new TrainingData(Rows, features, targets));
            session.TrainOnBatch([0, 1, 2, 3], learningRate: 1);
            double actual = -session.GetState()["k"].Kernel[1];
            Assert.AreEqual(1, actual / expected, 1e-4, $"row {seen}: {actual}, not {expected}");
        }
    }
}
