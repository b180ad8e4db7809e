namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>
/// Training by libtorch is training by the core's engine: the same losses and the same state after the same batches,
/// whatever the options.
/// </summary>
[TestClass]
public class CpuAgreementTests
{
    const double Tolerance = 2e-5;

    static readonly BatchNormalizationOptions keras = BatchNormalizationOptions.Keras with { Momentum = 0.9 };

    static readonly (string Name, BatchNormalizationOptions Options)[] normalizations =
    [
        ("Keras", keras),
        ("PyTorch", BatchNormalizationOptions.PyTorch),
        ("without scale", keras with { Scale = false }),
        ("without center", keras with { Center = false }),
        ("without both", keras with { Scale = false, Center = false }),
        ("cumulative", keras with { MovingStatistics = MovingStatistics.Cumulative }),
        ("population", keras with { MovingStatistics = MovingStatistics.Population }),
        ("without moving statistics", keras with { TrackMovingStatistics = false }),
        ("groups of rows", keras with { VirtualBatchSize = 5 }),
        ("renormalization", keras with { Renorm = new() { RMax = 2, RMin = 0.5, DMax = 1, Momentum = 0.8 } }),
        ("ignoring", keras with { NonFinite = NonFinite.Ignore }),
        ("without epsilon", keras with { Epsilon = 0 }),
        ("frozen", keras with { Trainable = false }),
        ("frozen statistics", keras with { UpdateStatistics = false }),
        ("frozen gamma and beta", keras with { TrainAffine = false }),
        ("penalties", keras with
        {
            GammaRegularizer = Regularizer.L1L2(0.02, 0.03), BetaRegularizer = Regularizer.L1(0.05),
        }),
        ("frozen penalties", keras with { TrainAffine = false, GammaRegularizer = Regularizer.L2(0.1) }),
        ("constraints", keras with
        {
            GammaConstraint = Constraint.MaxNorm(1.5), BetaConstraint = Constraint.NonNegative,
        }),
    ];

    static readonly (string Name, Loss Loss)[] losses =
    [
        ("softmax", Loss.SoftmaxCrossEntropy), ("binary", Loss.BinaryCrossEntropy), ("squared", Loss.MeanSquaredError),
        ("absolute", Loss.MeanAbsoluteError), ("huber", Loss.Huber(0.7)),
    ];

    static readonly (string Name, Optimizer Optimizer)[] optimizers =
    [
        ("sgd", Optimizer.Sgd()),
        ("sgd with decay", new SgdOptimizer { WeightDecay = 0.1 }),
        ("momentum", Optimizer.Sgd(momentum: 0.9)),
        ("nesterov", new SgdOptimizer { Momentum = 0.9, Nesterov = true, WeightDecay = 0.05 }),
        ("adam", Optimizer.Adam()),
        ("adam with decay", new AdamOptimizer { WeightDecay = 0.1, Beta1 = 0.8, Beta2 = 0.99, Epsilon = 1e-5 }),
        ("adamW", Optimizer.AdamW(weightDecay: 0.2)),
    ];

    static readonly (string Name, Activation Activation)[] activations =
        [.. Enum.GetValues<Activation>().Select(activation => (activation.ToString(), activation))];

    static IEnumerable<object[]> Normalizations => normalizations.Select(entry => new object[] { entry.Name });

    static IEnumerable<object[]> Losses => losses.Select(entry => new object[] { entry.Name });

    static IEnumerable<object[]> Optimizers => optimizers.Select(entry => new object[] { entry.Name });

    static IEnumerable<object[]> Activations => activations.Select(entry => new object[] { entry.Name });

    [TestMethod]
    [DynamicData(nameof(Normalizations))]
    public void Every_batch_normalization_agrees(string name)
    {
        BatchNormalizationOptions options = normalizations.Single(entry => entry.Name == name).Options;
        Compare(
            Network.Input(6).Dense(9).BatchNormalization(options).ReLU().Dense(3),
            new() { Optimizer = Optimizer.Sgd(momentum: 0.5) });
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(-1)]
    public void Every_axis_agrees(int axis) =>
        Compare(
            Network.Input(3, 4, 5).BatchNormalization(keras, axis).Flatten().Dense(3),
            new() { Optimizer = Optimizer.Sgd() });

    [TestMethod]
    [DynamicData(nameof(Losses))]
    public void Every_loss_agrees(string name) =>
        Compare(
            Plain(4), new() { Loss = losses.Single(entry => entry.Name == name).Loss, Optimizer = Optimizer.Sgd() });

    [TestMethod]
    [DynamicData(nameof(Losses))]
    public void Every_loss_with_row_weights_agrees(string name) =>
        Compare(
            Plain(4), new() { Loss = losses.Single(entry => entry.Name == name).Loss, Optimizer = Optimizer.Sgd() },
            weighted: true);

    [TestMethod]
    [DynamicData(nameof(Optimizers))]
    public void Every_optimizer_agrees(string name) =>
        Compare(Plain(3), new() { Optimizer = optimizers.Single(entry => entry.Name == name).Optimizer });

    [TestMethod]
    [DynamicData(nameof(Activations))]
    public void Every_activation_agrees(string name) =>
        Compare(
            Network.Input(6).Dense(8)
                .Add(new ActivationLayer(activations.Single(entry => entry.Name == name).Activation)).Dense(3),
            new() { Optimizer = Optimizer.Sgd() });

    static IEnumerable<object[]> Branching => Graphs.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Branching))]
    public void A_network_that_branches_agrees(string name) =>
        Compare(Graphs.Named(name), new() { Optimizer = Optimizer.Sgd(momentum: 0.5) });

    [TestMethod]
    [DynamicData(nameof(Branching))]
    public void Recomputed_statistics_of_a_network_that_branches_agree(string name)
    {
        Network network = Graphs.Named(name);
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 1100);
        int[] rows = [.. Enumerable.Range(0, 1100).Where(row => row % 3 > 0)];
        ITrainingEngine small = new TorchEngine("cpu", new() { DataBytesOnDevice = 0 });
        NetworkState[] states = [.. Engines.Append(small).Select(engine =>
        {
            using ITrainingSession session = engine.Start(
                network, network.Initialize(3), new() { Optimizer = Optimizer.Sgd() }, data);
            session.RecomputeStatistics(rows);
            return session.GetState();
        })];
        Runs.Agree(Tolerance, network, states[0], states[1]);
        Runs.Agree(Tolerance, network, states[0], states[2]);
    }

    [TestMethod]
    [DynamicData(nameof(Activations))]
    public void The_values_of_every_activation_are_libtorch_s(string name)
    {
        var layer = new ActivationLayer(activations.Single(entry => entry.Name == name).Activation);
        float[] x = [.. Enumerable.Range(-4000, 8001).Select(i => i / 400f), 3f, -3f, 6f, 0f, -0f, 50f, -50f];
        Network network = Network.Input(1).Add(layer);
        float[] served = new NetworkModel(network, network.Initialize()).Predict(x), y = new float[x.Length];
        using ITrainingSession session = new TorchEngine("cpu").Start(
            network, network.Initialize(), new() { Loss = Loss.MeanSquaredError },
            new TrainingData(1, new float[1], new float[1]));
        session.Predict(x, y);
        Agreement.Within(4e-7, Sample.Widen(served), y, name);
    }

    [TestMethod]
    [DynamicData(nameof(Activations))]
    public void Every_activation_s_slopes_where_functions_have_corners_are_libtorch_s(string name)
    {
        var layer = new ActivationLayer(activations.Single(entry => entry.Name == name).Activation);
        // libtorch computes most values in vectors, and those left over one by one. Each corner is among both.
        float[] x = [.. Enumerable.Range(0, 11).SelectMany(_ => new float[] { -3, 0, 3, 6 })];
        foreach (bool isFused in new[] { true, false })
        {
            float[] torch = ActivationProbe.Slopes(new TorchEngine("cpu"), layer, x, isFused);
            float[] core = ActivationProbe.Slopes(new CpuEngine(1), layer, x, isFused);
            Agreement.Within(4e-7, Sample.Widen(torch), core, $"{name}, fused: {isFused}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Activations))]
    public void Every_activation_of_values_that_are_not_finite_agrees(string name)
    {
        var layer = new ActivationLayer(activations.Single(entry => entry.Name == name).Activation);
        float[] x =
        [
            .. Enumerable.Range(0, 15).SelectMany(
                _ => new[] { float.NegativeInfinity, float.PositiveInfinity, float.NaN, 1.5f }),
        ];
        float[] core = ActivationProbe.Values(new CpuEngine(1), layer, x);
        float[] torch = ActivationProbe.Values(new TorchEngine("cpu"), layer, x);
        for (int i = 0; i < x.Length; i++)
            Assert.AreEqual(core[i], torch[i], 1e-6f, $"{name} of {x[i]}, {i}");
    }

    [TestMethod]
    [DynamicData(nameof(Activations))]
    public void Training_with_infinite_features_before_every_activation_agrees(string name)
    {
        const int rows = 12, width = 5;
        // The sum is infinite where the feature is. The sigmoid makes it finite again, so that dense layers learn.
        Network network = Network.Input(width)
            .BatchNormalization(new() { NonFinite = NonFinite.Ignore })
            .Residual(Network.Input(width).Sigmoid().Dense(width))
            .Add(new ActivationLayer(activations.Single(entry => entry.Name == name).Activation))
            .Sigmoid(name: "last").Dense(2);
        float[] features = Sample.Floats(rows * width, 1);
        for (int i = 0; i < features.Length; i += 4)
            features[i] = i % 8 == 0 ? float.NegativeInfinity : float.PositiveInfinity;
        var data = new TrainingData(rows, features, Sample.Floats(2 * rows, 2));
        var options = new TrainingOptions { Loss = Loss.MeanSquaredError, Optimizer = Optimizer.Sgd() };
        var results = new List<(double[] Losses, NetworkState State)>();
        foreach (ITrainingEngine engine in Engines)
        {
            using ITrainingSession session = engine.Start(network, network.Initialize(2), options, data);
            results.Add((Runs.Train(session, rows, batchSize: 6, epochs: 2, 0.05), session.GetState()));
        }
        Assert.IsTrue(Array.TrueForAll(results[0].Losses, double.IsFinite), string.Join(' ', results[0].Losses));
        Agreement.Within(Tolerance, results[0].Losses, results[1].Losses, "losses");
        Runs.Agree(Tolerance, network, results[0].State, results[1].State);
    }

    [TestMethod]
    public void Random_flips_and_crops_are_the_same_in_every_step() =>
        Compare(
            Network.Input(2, 5, 6).RandomHorizontalFlip().Conv2D(3, 3, padding: 1).RandomCrop(2)
                .RandomHorizontalFlip(0.3).Flatten().Dense(3),
            new() { Optimizer = Optimizer.Sgd(momentum: 0.5) });

    [TestMethod]
    public void Class_weights_agree()
    {
        Compare(Plain(3), new() { ClassWeights = [0.5, 2, 1], Optimizer = Optimizer.Sgd() }, weighted: true);
        Compare(
            Plain(1), new() { Loss = Loss.BinaryCrossEntropy, ClassWeights = [3, 0.5], Optimizer = Optimizer.Sgd() });
    }

    [TestMethod]
    [DataRow(0.01)]
    [DataRow(1000.0)]
    public void Clipping_agrees(double norm) =>
        Compare(Plain(3), new() { GradientClipNorm = norm, Optimizer = Optimizer.Sgd() }, learningRate: 0.5);

    [TestMethod]
    public void A_network_in_a_network_with_frozen_layers_agrees()
    {
        Network inner = Network.Input(6).Dense(7, name: "first").BatchNormalization(keras, name: "norm").Tanh();
        Network network =
            Network.Input(6).Append(inner, "base").Dense(5, useBias: false).BatchNormalization(keras).Dense(2);
        Compare(network.Freeze("base"), new() { Optimizer = Optimizer.Adam() });
        Compare(network.Freeze("base/first"), new() { Optimizer = Optimizer.Adam() });
        Compare(network.Freeze("*").WithBatchNormalization(o => o with { Trainable = true }, "*"), new());
    }

    [TestMethod]
    public void Rows_with_weight_0_have_no_loss_and_no_gradient()
    {
        Network network = Plain(3);
        var data = new TrainingData(8, Sample.Floats(8 * 6, 1), new float[8], new float[8]);
        var options = new TrainingOptions { Optimizer = Optimizer.Sgd() };
        NetworkState state = network.Initialize(1);
        using ITrainingSession session = new TorchEngine("cpu").Start(network, state, options, data);
        CollectionAssert.AreEqual(new double[] { 0 }, Runs.Train(session, 8, 8));
        Agreement.SameBits(state["dense"].Kernel, session.GetState()["dense"].Kernel);
    }

    [TestMethod]
    public void Recomputed_statistics_agree()
    {
        Network network = Network.Input(6).BatchNormalization(keras).Dense(9).BatchNormalization(keras).ReLU()
            .Dense(5).BatchNormalization(BatchNormalizationOptions.PyTorch with { UpdateStatistics = false }).Tanh()
            .BatchNormalization(BatchNormalizationOptions.PyTorch).Dense(2);
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 2000);
        int[] rows = [.. Enumerable.Range(0, 2000).Where(row => row % 3 > 0)];
        ITrainingEngine small = new TorchEngine("cpu", new() { DataBytesOnDevice = 0 });
        NetworkState[] states = [.. Engines.Append(small).Select(engine =>
        {
            using ITrainingSession session =
                engine.Start(network, network.Initialize(3), new() { Optimizer = Optimizer.Sgd() }, data);
            Runs.Train(session, 200, 50);
            session.RecomputeStatistics(rows);
            return session.GetState();
        })];
        Runs.Agree(Tolerance, network, states[0], states[1]);
        Runs.Agree(Tolerance, network, states[0], states[2]);
    }

    static IEnumerable<ITrainingEngine> Engines => [new CpuEngine(), new TorchEngine("cpu")];

    // No bias where a batch normalization takes it off again: its gradient is rounding alone, which Adam makes large.
    static Network Plain(int outputs) =>
        Network.Input(6).Dense(8, useBias: false).BatchNormalization(keras).LeakyReLU().Dense(outputs);

    static void Compare(
        Network network, TrainingOptions options, bool weighted = false, double learningRate = 0.05)
    {
        const int rows = 45;
        TrainingData data = Runs.Data(network, options.Loss, rows, weighted: weighted);
        NetworkState initial = network.Initialize(2);
        var results = new List<(double[] Losses, NetworkState State, OptimizerState Moments, float[] Outputs)>();
        foreach (ITrainingEngine engine in Engines)
        {
            using ITrainingSession session = engine.Start(network, initial, options, data);
            double[] read = Runs.Train(session, rows, batchSize: 12, epochs: 2, learningRate);
            float[] outputs = new float[rows * network.OutputShape.Size];
            session.Predict(data.Features.Span, outputs);
            Assert.AreEqual(8, session.Steps);
            results.Add((read, session.GetState(), session.GetOptimizerState(), outputs));
        }
        var (core, torch) = (results[0], results[1]);
        Agreement.Within(Tolerance, core.Losses, torch.Losses, "losses");
        Runs.Agree(Tolerance, network, core.State, torch.State);
        Agreement.Within(Tolerance, Sample.Widen(core.Outputs), torch.Outputs, "outputs");
        CollectionAssert.AreEqual(core.Moments.Moments.Keys.ToArray(), torch.Moments.Moments.Keys.ToArray());
        foreach ((string name, var moment) in core.Moments.Moments)
            Agreement.Within(Tolerance, Sample.Widen(moment.AsSpan()), torch.Moments.Moments[name].AsSpan(), name);
    }
}
