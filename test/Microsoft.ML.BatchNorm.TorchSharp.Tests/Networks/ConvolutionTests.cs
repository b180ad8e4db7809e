namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>
/// Convolutions on libtorch's CPU. Its own choice for them, oneDNN, reads memory that it has not written, and gives
/// wrong gradients for some shapes, at least on some processors.
/// </summary>
[TestClass]
public class ConvolutionTests
{
    static readonly (int Channels, int Filters, Size2D Kernel, Size2D Stride, Size2D Padding)[] shapes =
    [
        (1, 8, 5, 1, 0), (4, 5, 2, 1, 0), (8, 8, 3, 1, 0), (3, 7, 1, 1, 0), (12, 12, 3, 1, 1), (17, 3, 3, 2, 1),
        (20, 50, 5, 1, 0), (6, 16, 5, 1, 0), (16, 16, 3, 1, 2), (48, 16, 2, (1, 2), 0), (48, 32, (4, 2), 2, 1),
        (2, 1, (1, 4), (3, 1), (0, 2)), (16, 20, 1, 2, 0), (1, 1, 2, 1, 3),
        // More than is multiplied at a time.
        (48, 2, 5, 1, 2),
    ];

    static IEnumerable<object[]> Shapes =>
        from i in Enumerable.Range(0, shapes.Length) from rows in new[] { 1, 18 } select new object[] { i, rows };

    static IEnumerable<object[]> Filters =>
    [
        .. Enumerable.Range(1, 20).Select(filters => new object[] { new[] { filters, 21 - filters } }),
        [new[] { 5, 7, 3 }], [new[] { 1, 1, 1 }], [new[] { 19, 20, 17 }], [new[] { 16, 13, 16 }],
        [new[] { 48, 16, 48 }],
    ];

    [TestMethod]
    [DynamicData(nameof(Filters))]
    public void A_step_and_predictions_through_several_convolutions_are_those_of_the_core(int[] filters)
    {
        Network network = Network.Input(3, 12, 11);
        for (int i = 0; i < filters.Length; i++)
            network = network.Conv2D(filters[i], 3, stride: i == 1 ? 2 : 1, padding: 1).Tanh();
        network = network.GlobalAveragePool2D().Dense(4);
        TrainingData data = Runs.Data(network, Loss.MeanSquaredError, 18);
        NetworkState initial = network.Initialize(3);
        (NetworkState core, float[] outputs) = Run(new CpuEngine());
        (NetworkState torch, float[] others) = Run(new TorchEngine("cpu"));
        foreach (string path in core.Paths)
        {
            Agree(1e-5, Step(core, path), Step(torch, path), path);
            Agree(1e-5, Sample.Widen(core[path].Bias), Sample.Widen(torch[path].Bias), path);
        }
        Agree(1e-5, Sample.Widen(outputs), Sample.Widen(others), "outputs");

        (NetworkState State, float[] Outputs) Run(ITrainingEngine engine)
        {
            using ITrainingSession session = engine.Start(
                network, initial, new() { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd() }, data);
            float[] outputs = new float[data.Rows * 4];
            FreedMemory.FillWithNaN();
            session.TrainOnBatch([.. Enumerable.Range(0, data.Rows)], learningRate: 1);
            FreedMemory.FillWithNaN();
            session.Predict(data.Features.Span, outputs);
            return (session.GetState(), outputs);
        }

        double[] Step(NetworkState state, string path) =>
        [
            .. Sample.Widen(initial[path].Kernel).Zip(Sample.Widen(state[path].Kernel))
                .Select(pair => pair.First - pair.Second),
        ];
    }

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void Output_and_gradients_are_those_of_plain_loops_in_double(int shape, int rows) =>
        Compare(1e-5, shape, rows, isMixed: false);

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void With_mixed_precision_they_have_the_digits_of_bfloat16(int shape, int rows) =>
        Compare(6e-3, shape, rows, isMixed: true);

    [TestMethod]
    public void Sessions_at_the_same_time_get_the_same_bits()
    {
        Network network = Network.Input(3, 12, 11).Conv2D(5, 3).ReLU().Conv2D(4, 2, stride: 2).Flatten().Dense(3);
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 60);
        NetworkState[] states = new NetworkState[4];
        Parallel.For(0, states.Length, i =>
        {
            using ITrainingSession session =
                new TorchEngine("cpu").Start(network, network.Initialize(1), new(), data);
            Runs.Train(session, 60, 20, epochs: 10);
            states[i] = session.GetState();
        });
        foreach (NetworkState state in states)
            Assert.AreEqual(states[0], state);
    }

    static void Compare(double tolerance, int shape, int rows, bool isMixed)
    {
        (int channels, int filters, Size2D kernel, Size2D stride, Size2D padding) = shapes[shape];
        Network network = Network.Input(channels, 10, 9).Conv2D(filters, kernel, stride, padding);
        LayerState layer = new(
            Sample.Floats(network.Initialize()["conv2d"].Kernel.Length, 1), Sample.Floats(filters, 2));
        NetworkState state = network.Initialize().With("conv2d", layer);
        using var scope = torch.NewDisposeScope();
        using var module = new NetworkModule(network, state, isMixed, torch.CPU);
        Tensor x = Tensor(3, rows, channels, 10, 9), dy = Tensor(4, [rows, .. module.forward(x).shape[1..]]);
        var plain = new PlainConvolution((Conv2DLayer)network.Nodes[0].Layer, network.InputShape, rows);
        double[] weights = Sample.Widen(layer.Kernel);
        double[] y = plain.Forward(Doubles(x), weights, Sample.Widen(layer.Bias));
        (double[] dx, double[] dKernel, double[] dBias) = plain.Backward(Doubles(x), weights, Doubles(dy));
        for (int repetition = 0; repetition < 3; repetition++)
        {
            x.grad = null;
            FreedMemory.FillWithNaN();
            Tensor output = module.forward(x);
            FreedMemory.FillWithNaN();
            module.Parameters.ComputeGradient(output.mul(dy.detach()).sum());
            Agree(tolerance, y, Doubles(output), "output");
            Agree(tolerance, dx, Doubles(x.grad!), "gradient of the input");
            Agree(tolerance, [.. dKernel, .. dBias], Doubles(module.Parameters.Gradient), "gradient");
        }
    }

    /// <summary>Values that bfloat16 has as well.</summary>
    static Tensor Tensor(int seed, params long[] shape)
    {
        float[] values = Sample.Floats((int)shape.Aggregate(1L, (a, b) => a * b), seed);
        return torch.tensor(values, shape).to(torch.ScalarType.BFloat16).to(torch.ScalarType.Float32).requires_grad_();
    }

    static double[] Doubles(Tensor tensor) => Sample.Widen(tensor.detach().contiguous().data<float>().ToArray());

    /// <summary>Compares relative to the largest value, since gradients may all be small.</summary>
    static void Agree(double tolerance, double[] expected, double[] actual, string what)
    {
        double largest = expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.IsTrue(
                Math.Abs(expected[i] - actual[i]) <= tolerance * largest,
                $"{what}[{i}] is {actual[i]:R}, expected {expected[i]:R} within {tolerance * largest:R}.");
        }
    }
}
