namespace Microsoft.ML.BatchNorm.Tests.Layer;

/// <summary>
/// Gradients where the input's scale is so small or large that the square of 1/deviation is no float any more.
/// </summary>
[TestClass]
public class ScaleTests
{
    static readonly double[] pattern = [-1, -0.5, 0.25, 1];

    static IEnumerable<object[]> Scales =>
        from scale in (double[])[1e-20, 1e-15, 1e-3, 1, 1e13, 1e22, 1e30]
        from epsilon in (double[])[1e-3, 0]
        select new object[] { scale, epsilon };

    [TestMethod]
    [DataRow(1e30, 1e-3, 4.848e-31, -5.656e-31, -1.616e-31, 2.424e-31)]
    [DataRow(1e-20, 0, 4.848e19, -5.656e19, -1.616e19, 2.424e19)]
    public void The_gradient_by_the_input_is_right_to_the_digits_of_a_float(
        double scale, double epsilon, double first, double second, double third, double fourth)
    {
        float[] dx = Backward(Array.ConvertAll(pattern, value => (float)(scale * value)), epsilon);
        double[] expected = [first, second, third, fourth];
        for (int i = 0; i < dx.Length; i++)
            Assert.AreEqual(expected[i], dx[i], 1e-3 * Math.Abs(expected[i]));
    }

    [TestMethod]
    [DynamicData(nameof(Scales))]
    public void In_float_it_is_that_of_double(double scale, double epsilon)
    {
        float[] x = Array.ConvertAll(pattern, value => (float)(scale * value));
        BatchNormalizationOptions options = BatchNormalizationOptions.Keras with { Epsilon = epsilon };
        double[] wide = Sample.Widen(x), expected = new double[4];
        ForwardPass pass = BatchNormalization.Forward(
            options, BatchNormalization.Initialize(options, 1), ChannelLayout.Features(4, 1), wide, new double[4],
            training: true);
        BatchNormalization.Backward(pass, wide, [1, 0, 0, 0], expected);
        float[] actual = Backward(x, epsilon);
        double greatest = expected.Max(Math.Abs);
        for (int i = 0; i < 4; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-6 * greatest + float.Epsilon);
    }

    [TestMethod]
    [DynamicData(nameof(Scales))]
    public void A_kernel_before_the_layer_learns_by_the_gradient_of_double(double scale, double epsilon)
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.Keras with { Epsilon = epsilon };
        float[] x = Array.ConvertAll(Sample.Doubles(8, seed: 3), value => (float)(scale * value));
        float[] targets = [1, 0, -1, 2];
        Network network = Network.Input(2).Dense(1, useBias: false).BatchNormalization(options);
        NetworkState state = network.Initialize(1);
        float[] kernel = state["dense"].Kernel.ToArray();
        using ITrainingSession session = new CpuEngine().Start(
            network, state, new TrainingOptions { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd(1) },
            new TrainingData(4, x, targets));
        session.TrainOnBatch([0, 1, 2, 3], 1);
        float[] learned = session.GetState()["dense"].Kernel.ToArray();

        double[] h = [.. x.Chunk(2).Select(row => (double)kernel[0] * row[0] + (double)kernel[1] * row[1])];
        double[] y = new double[4], dh = new double[4];
        ForwardPass pass = BatchNormalization.Forward(
            options, BatchNormalization.Initialize(options, 1), ChannelLayout.Features(4, 1), h, y, training: true);
        BatchNormalization.Backward(pass, h, [.. y.Zip(targets, (output, target) => (output - target) / 2)], dh);
        for (int input = 0; input < 2; input++)
        {
            double gradient = Enumerable.Range(0, 4).Sum(row => dh[row] * x[2 * row + input]);
            Assert.AreEqual(kernel[input] - gradient, learned[input], 1e-5 * Math.Max(1, Math.Abs(gradient)));
        }
    }

    static float[] Backward(float[] x, double epsilon)
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.Keras with { Epsilon = epsilon };
        float[] dx = new float[x.Length];
        ForwardPass pass = BatchNormalization.Forward(
            options, BatchNormalization.Initialize(options, 1), ChannelLayout.Features(x.Length, 1), x,
            new float[x.Length], training: true);
        BatchNormalization.Backward(pass, x, [1, 0, 0, 0], dx);
        return dx;
    }
}
