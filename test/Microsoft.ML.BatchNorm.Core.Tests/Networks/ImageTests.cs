namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>Convolutions and pools of the CPU engine against the formulas in double.</summary>
[TestClass]
public sealed class ImageTests
{
    static readonly Network small = Network.Input(3, 12, 10)
        .Conv2D(18, 3, padding: 1, useBias: false).BatchNormalization().ReLU().MaxPool2D()
        .Conv2D(34, 3, padding: 1, useBias: false).BatchNormalization().ReLU().GlobalAveragePool2D().Dense(4);

    static IEnumerable<object[]> Convolutions =>
        from input in new[] { new TensorShape(1, 5, 5), new TensorShape(3, 7, 9), new TensorShape(2, 20, 37) }
        from size in new Size2D[] { 1, 2, 3, (1, 4), (5, 2) }
        from stride in new Size2D[] { 1, 2, 3, (2, 1) }
        from padding in new Size2D[] { 0, 1, (2, 0), (0, 3) }
        where new Window2D(size, stride, padding, 1).Places(input) is not null
        select new object[] { input, size, stride, padding };

    static IEnumerable<object[]> Pools =>
        from function in Enum.GetValues<Pooling>()
        from input in new[] { new TensorShape(1, 5, 5), new TensorShape(3, 7, 9), new TensorShape(2, 20, 37) }
        from size in new Size2D[] { 1, 2, 3, (2, 5) }
        from stride in new Size2D[] { 1, 2, 3, (4, 1) }
        from padding in new Size2D[] { 0, 1, (0, 2) }
        where 2 * padding.Height <= size.Height && 2 * padding.Width <= size.Width
        where new Window2D(size, stride, padding, 1).Places(input) is not null
        select new object[] { function, input, size, stride, padding };

    [TestMethod]
    public void A_convolution_of_any_shape_follows_the_formulas()
    {
        foreach (object[] data in Convolutions)
        {
            var (input, size) = ((TensorShape)data[0], (Size2D)data[1]);
            var (stride, padding) = ((Size2D)data[2], (Size2D)data[3]);
            Network below = Network.Of(input, [new Conv2DLayer(input[0], 1), new ActivationLayer(Activation.Tanh)]);
            foreach (Network start in new[] { Network.Of(input, []), below })
            {
                Network network = start.Conv2D(5, size, stride, padding, useBias: stride.Height < 3).Flatten().Dense(3);
                GradientTests.Compare(
                    new Lesson(network, rows: 3),
                    $"{input}, {size} by {stride} in {padding}, {start.Nodes.Count} below");
            }
        }
    }

    [TestMethod]
    public void Groups_dilation_and_padding_per_side_follow_the_formulas()
    {
        foreach ((int channels, int filters, int groups) in new[]
                 { (2, 2, 2), (3, 6, 3), (4, 6, 2), (40, 80, 2), (34, 34, 34), (6, 9, 3), (64, 8, 4) })
        {
            foreach (Padding2D padding in new[] { 0, Padding2D.Same, new Padding2D(0, 2, 1, 0) })
            {
                foreach ((Size2D size, Size2D stride, Size2D dilation) in new[]
                         { ((Size2D)1, (Size2D)1, (Size2D)1), (3, 1, 1), (3, 2, 1), ((2, 3), (1, 3), (2, 1)), (3, 1, 3) })
                {
                    Network network = Network.Input(2, 8, 19).Conv2D(channels, 1).Tanh()
                        .Conv2D(filters, size, stride, padding, useBias: groups < 30, dilation: dilation, groups: groups)
                        .Tanh().GlobalAveragePool2D().Dense(3);
                    GradientTests.Compare(
                        new Lesson(network, rows: 3),
                        $"{channels} to {filters} in {groups}, {size} by {stride} in {padding}, dilated by {dilation}");
                }
            }
        }
    }

    [TestMethod]
    public void Any_numbers_of_channels_and_filters_follow_the_formulas()
    {
        foreach ((int channels, int filters) in new[] { (1, 1), (17, 16), (16, 33), (33, 70), (3, 32), (40, 15) })
        {
            foreach (int size in new[] { 1, 3 })
            {
                foreach (int side in new[] { 4, 12 })
                {
                    Network network = Network.Input(2, side, side - 1).Conv2D(channels, 1).Tanh()
                        .Conv2D(filters, size, padding: size / 2).Tanh().GlobalAveragePool2D().Dense(3);
                    GradientTests.Compare(new Lesson(network, rows: 4), $"{channels} to {filters}, {size}, {side}");
                }
            }
        }
    }

    [TestMethod]
    public void Every_number_of_rows_follows_the_formulas()
    {
        foreach (int rows in new[] { 2, 31, 33, 70 })
            GradientTests.Compare(new Lesson(small, rows: rows), $"{rows} rows");
    }

    [TestMethod]
    public void A_pool_of_any_shape_follows_the_formulas()
    {
        foreach (object[] data in Pools)
        {
            var (function, input, size) = ((Pooling)data[0], (TensorShape)data[1], (Size2D)data[2]);
            var pool = new Pool2DLayer(function, size) { Stride = (Size2D)data[3], Padding = (Size2D)data[4] };
            Network network = Network.Of(input, [new Conv2DLayer(2, 1), new ActivationLayer(Activation.Tanh), pool])
                .Flatten().Dense(3);
            GradientTests.Compare(new Lesson(network, rows: 3), $"{input}, {pool}");
        }
    }

    [TestMethod]
    public void Of_two_zeros_the_maximum_is_the_first_in_training_and_the_positive_one_in_a_model()
    {
        Network network = Network.Input(1, 1, 4).MaxPool2D((1, 2)).Flatten();
        NetworkState state = network.Initialize();
        float[] zeros = [-0f, 0f, 0f, -0f], outputs = new float[2];
        using ITrainingSession session = new CpuEngine(1).Start(
            network, state, new TrainingOptions { Loss = Loss.MeanSquaredError }, new TrainingData(1, zeros, outputs));
        session.Predict(zeros, outputs);
        Agreement.SameBits<float>([-0f, 0f], outputs);
        Agreement.SameBits<float>([0f, 0f], new NetworkModel(network, state).Predict(zeros));
    }

    [TestMethod]
    public void Pools_with_ceil_mode_and_padding_per_side_follow_the_formulas()
    {
        foreach ((Pooling function, bool counts) in new[]
                 { (Pooling.Max, true), (Pooling.Average, true), (Pooling.Average, false) })
        {
            foreach (Padding2D padding in new[] { 0, 1, Padding2D.Same, new Padding2D(0, 2, 1, 0) })
            {
                foreach ((Size2D size, Size2D stride, bool ceils) in new[]
                         { ((Size2D)3, (Size2D)2, true), (3, 2, false), ((4, 3), (3, 5), true), (3, 1, true) })
                {
                    var pool = new Pool2DLayer(function, size)
                    {
                        Stride = stride, Padding = padding, CeilMode = ceils, CountIncludePad = counts,
                    };
                    Network network = Network.Of(
                        new(2, 8, 19), [new Conv2DLayer(2, 1), new ActivationLayer(Activation.Tanh), pool]);
                    GradientTests.Compare(new Lesson(network.Flatten().Dense(3), rows: 3), $"{pool}");
                }
            }
        }
    }

    [TestMethod]
    public void A_stride_may_be_any_number()
    {
        foreach (int stride in new[] { 9, 1 << 20, 1 << 27, (1 << 28) - 1, 1 << 28, int.MaxValue })
        {
            foreach (Size2D strides in new[] { new Size2D(1, stride), new Size2D(stride, 1) })
            {
                Network image = Network.Input(2, 8, 8);
                foreach (Network network in new[]
                         {
                             image.Conv2D(3, 3, strides), image.Conv2D(3, 1, strides), image.Conv2D(2, 3, strides, groups: 2),
                             image.MaxPool2D(2, strides), image.MaxPool2D(2, strides, ceilMode: true),
                             image.AveragePool2D(2, strides),
                         })
                {
                    var lesson = new Lesson(network.Flatten().Dense(3), rows: 3);
                    GradientTests.Compare(lesson, $"{network.Nodes[0].Layer.Kind} {strides}");
                    Agreement.Within(
                        1e-6, new NaiveNetwork(lesson.Network, lesson.State).Forward(
                            Sample.Widen(lesson.Features), 3, training: false),
                        new NetworkModel(lesson.Network, lesson.State).Predict(lesson.Features), $"{strides}");
                }
            }
        }
    }

    [TestMethod]
    public void The_formulas_have_the_slopes_that_differences_have()
    {
        // A filter that sees one value keeps the order of its outputs, and with it the maxima, under a small change.
        foreach ((Pooling function, int size) in new[] { (Pooling.Average, 2), (Pooling.Max, 1) })
        {
            Network network = Network.Input(size, 6, 5).Conv2D(3, size, padding: size / 2).Tanh()
                .Add(new Pool2DLayer(function, 3) { Stride = 2, Padding = 1 })
                .Conv2D(3, (2, 3), stride: (2, 1), padding: (1, 0)).BatchNormalization().Tanh()
                .GlobalAveragePool2D().Dense(3);
            GradientTests.CompareWithDifferences(new Lesson(network, rows: 6));
        }
    }

    [TestMethod]
    public void The_first_of_equal_maxima_gets_the_gradient()
    {
        Network network = Network.Input(1, 9, 8).Conv2D(2, (1, 2), useBias: false).MaxPool2D(3, stride: 2, padding: 1)
            .Flatten().Dense(3);
        var lesson = new Lesson(network, rows: 5);
        float[] features = Array.ConvertAll(lesson.Features, value => value > 0.3f ? 1f : 0);
        NetworkState state = lesson.State.With("conv2d", new LayerState([1, 1, -1, -1]));
        using ITrainingSession session = new CpuEngine().Start(
            network, state, new TrainingOptions { Optimizer = Optimizer.Sgd(1) },
            new TrainingData(5, features, lesson.Targets));
        session.TrainOnBatch(lesson.AllRows, 1);
        var naive = new NaiveNetwork(network, state);
        double[] outputs = naive.Forward(Sample.Widen(features), 5, training: true);
        naive.Backward(NaiveLoss.Of(lesson.Options.Loss, outputs, lesson.Targets, [1, 1, 1, 1, 1]).Gradient, 5);
        double[] after = Sample.Widen(session.GetState()["conv2d"].Kernel);
        double[] before = Sample.Widen(state["conv2d"].Kernel);
        double[] expected = [.. before.Zip(naive.Gradients["conv2d/kernel"], (old, gradient) => old - gradient)];
        Agreement.Within(1e-6, expected, after);
    }

    [TestMethod]
    public void Some_steps_lead_where_the_formulas_lead()
    {
        var lesson = new Lesson(small, new TrainingOptions { Optimizer = Optimizer.Sgd(0.1) }, rows: 24);
        using ITrainingSession session = lesson.Start(threads: 2);
        NetworkState expected = lesson.State;
        double[] loss = new double[1];
        for (int step = 0; step < 5; step++)
        {
            int[] rows = lesson.Rows(step, 10);
            session.TrainOnBatch(rows, 0.1);
            session.ReadLosses(loss);
            (expected, double expectedLoss) = NaiveStep(lesson, expected, rows, 0.1);
            Assert.AreEqual(expectedLoss, loss[0], 1e-5, $"step {step}");
        }
        Dictionary<string, float[]> actual = Lesson.Values(session.GetState());
        foreach ((string name, float[] values) in Lesson.Values(expected))
            Agreement.Within(1e-5, Sample.Widen(values), actual[name], name);
    }

    static (NetworkState State, double Loss) NaiveStep(
        Lesson lesson, NetworkState state, int[] rows, double learningRate)
    {
        int width = lesson.Network.InputShape.Size;
        double[] x = [.. rows.SelectMany(row => Sample.Widen(lesson.Features.AsSpan(row * width, width)))];
        var naive = new NaiveNetwork(lesson.Network, state);
        double[] outputs = naive.Forward(x, rows.Length, training: true);
        (double loss, double[] gradient) = NaiveLoss.Of(
            lesson.Options.Loss, outputs, [.. rows.Select(row => lesson.Targets[row])], [.. rows.Select(_ => 1.0)]);
        naive.Backward(gradient, rows.Length);
        foreach (string path in state.Paths.ToArray())
        {
            LayerState layer = state[path];
            state = state.With(path, layer.BatchNormalization is null
                ? new LayerState(Moved(layer.Kernel, $"{path}/kernel"), Moved(layer.Bias, $"{path}/bias"))
                : new LayerState(naive.NextStates[path].WithAffine(
                    Moved(layer.BatchNormalization.Gamma, $"{path}/gamma"),
                    Moved(layer.BatchNormalization.Beta, $"{path}/beta"))));
        }
        return (state, loss);

        float[] Moved(ReadOnlySpan<float> values, string name)
        {
            float[] moved = values.ToArray();
            for (int i = 0; i < moved.Length; i++)
                moved[i] = (float)(moved[i] - learningRate * naive.Gradients[name][i]);
            return moved;
        }
    }
}
