using System.Globalization;

namespace Microsoft.ML.BatchNorm.Tests.Parity;

/// <summary>
/// What Keras and PyTorch compute, step by step: every layer case of test/parity, and of the folder that the
/// environment variable BATCHNORM_PARITY_DIR names.
/// </summary>
[TestClass]
public sealed class ParityTests
{
    public TestContext TestContext { get; set; } = null!;

    static IEnumerable<string> Files
    {
        get
        {
            IEnumerable<string> files = Directory.EnumerateFiles(
                Path.Combine(AppContext.BaseDirectory, "parity"), "*.json");
            if (Environment.GetEnvironmentVariable("BATCHNORM_PARITY_DIR") is { Length: > 0 } folder)
                files = files.Concat(Directory.EnumerateFiles(folder, "*.json"));
            return files.Order(StringComparer.Ordinal);
        }
    }

    static IEnumerable<object[]> LayerCases => Cases(kind => kind is not ("network" or "graph" or "activation"));

    static IEnumerable<object[]> NetworkCases => Cases(kind => kind == "network");

    static IEnumerable<object[]> Cases(Func<string, bool> kinds) =>
        from path in Files
        let file = ParityFile.Read(path)
        where kinds(file.Kind)
        from index in Enumerable.Range(0, file.Cases.Length)
        select new object[] { path, index };

    public static string Name(System.Reflection.MethodInfo method, object[] data) =>
        $"{Path.GetFileName((string)data[0])}, case {data[1]}: " +
        ParityFile.Read((string)data[0]).Cases[(int)data[1]].GetProperty("name").GetString();

    [TestMethod]
    [DynamicData(nameof(LayerCases), DynamicDataDisplayName = nameof(Name))]
    public void A_layer_computes_what_its_framework_does(string path, int index)
    {
        ParityFile file = ParityFile.Read(path);
        Assert.AreEqual(1, file.Format, "format");
        Assert.AreEqual("layer", file.Kind, "kind");
        LayerCase layer = file.Layer(index);
        BatchNormalizationOptions options = layer.Options.ToOptions();
        var layout = new ChannelLayout(layer.Shape, layer.Options.Axis);
        BatchNormalizationState state = layer.Initial.ToState(layout.Channels);
        var lost = new LostDigits(layer, file, options, layout);
        Assert.IsTrue(layer.Steps.Length > 0, "steps");

        for (int s = 0; s < layer.Steps.Length; s++)
        {
            CaseStep step = layer.Steps[s];
            bool[] mask = Mask(step, layer.Shape, layer.Options.Axis);
            float[] y = new float[step.X.Length];
            ForwardPass pass = BatchNormalization.Forward(options, state, layout, step.X, y, step.Training, mask);
            double[] exact = lost.Step(step, mask, state);
            if (lost.Matter(file.Tolerance["output"]))
            {
                Assert.IsNull(options.Renorm, "The formulas in double are written without renormalization.");
                Agree(exact, y, file.Tolerance["output"], $"step {s}, y in double");
                Agree(step.Y, y, lost.Share, $"step {s}, y to the reference's own rounding");
                Agree(
                    lost.MovingMean, pass.NextState.MovingMean, file.Tolerance["state"],
                    $"step {s}, movingMean in double");
                Agree(
                    lost.MovingVariance, pass.NextState.MovingVariance, file.Tolerance["state"],
                    $"step {s}, movingVariance in double");
                Agree(
                    step.After.MovingMean, pass.NextState.MovingMean, file.Tolerance["state"], $"step {s}, movingMean");
                TestContext.WriteLine(
                    $"{layer.Name}, step {s}: the reference's float32 leaves {lost.Share:P0} of a variance open; " +
                    "compared with the formulas in double.");
                state = pass.NextState;
                continue;
            }
            Agree(step.Y, y, file.Tolerance["output"], $"step {s}, y");
            BatchNormalizationState statisticsOnly = BatchNormalization.UpdateMovingStatistics(
                options with { Trainable = options.Trainable && step.Training }, state, layout, step.X, mask);
            Assert.AreEqual(pass.NextState, statisticsOnly, $"step {s}, state without output");

            state = pass.NextState;
            double tolerance = file.Tolerance["state"];
            Agree(step.After.MovingMean, state.MovingMean, tolerance, $"step {s}, movingMean");
            Agree(step.After.MovingVariance, state.MovingVariance, tolerance, $"step {s}, movingVariance");
            RenormStatistics? renorm = state.Renorm;
            Agree(
                step.After.MovingStandardDeviation, renorm is null ? default : renorm.MovingStandardDeviation,
                tolerance,
                $"step {s}, movingStandardDeviation");
            Agree(step.After.RenormMean, renorm is null ? default : renorm.Mean, tolerance, $"step {s}, renormMean");
            Agree(
                step.After.RenormStandardDeviation, renorm is null ? default : renorm.StandardDeviation, tolerance,
                $"step {s}, renormStandardDeviation");
            if (step.Dy is not null)
                CheckGradients(step, pass, layout.Channels, file.Tolerance["gradient"], $"step {s}");
        }
    }

    static IEnumerable<object[]> ActivationFiles => ActivationFile.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(ActivationFiles))]
    public void An_activation_computes_what_its_framework_does(string file) =>
        ActivationFile.Read(file).Check(new CpuEngine(1));

    [TestMethod]
    [DynamicData(nameof(NetworkCases), DynamicDataDisplayName = nameof(Name))]
    public void A_network_computes_what_its_framework_does(string path, int index)
    {
        ParityFile file = ParityFile.Read(path);
        Assert.AreEqual(1, file.Format, "format");
        NetworkCase given = file.Network(index);
        Network network = given.ToNetwork();
        TrainingOptions options = given.ToOptions();
        Assert.AreEqual(given.Outputs, network.OutputShape.Size, "outputs");
        Assert.AreEqual(given.Batches.Length, given.Expected.Losses.Length, "losses");
        using ITrainingSession session = new CpuEngine().Start(
            network, given.ToState(network), options, given.ToData());
        double[] losses = new double[1];
        int first = 0;
        for (int step = 0; step < given.Batches.Length; step++)
        {
            int rows = given.Rows(given.Batches[step]);
            session.TrainOnBatch([.. Enumerable.Range(first, rows)], options.Optimizer.LearningRate);
            first += rows;
            Assert.AreEqual(1, session.ReadLosses(losses));
            Agree([given.Expected.Losses[step]], losses, file.Tolerance["loss"], $"step {step}, loss");
        }

        NetworkState state = session.GetState();
        foreach ((NetworkNode node, NetworkCaseLayer layer) in network.Nodes.Zip(given.Expected.Layers))
            CheckLayer(layer, state.TryGet(node.Path), file.Tolerance["state"], node.Path);
        float[] outputs = new float[given.Expected.Inference.Y.Length];
        session.Predict(given.Expected.Inference.X, outputs);
        Agree(given.Expected.Inference.Y, outputs, file.Tolerance["output"], "inference");
    }

    static void CheckLayer(NetworkCaseLayer expected, LayerState? state, double tolerance, string path)
    {
        Agree(expected.Weight, state is null ? default : state.Kernel, tolerance, $"{path}, kernel");
        Agree(expected.Bias, state is null ? default : state.Bias, tolerance, $"{path}, bias");
        if (expected.Type != "batchNormalization")
            return;
        BatchNormalizationState normalization = state!.BatchNormalization!;
        Agree(expected.Gamma, normalization.Gamma, tolerance, $"{path}, gamma");
        Agree(expected.Beta, normalization.Beta, tolerance, $"{path}, beta");
        Agree(expected.MovingMean, normalization.MovingMean, tolerance, $"{path}, movingMean");
        Agree(expected.MovingVariance, normalization.MovingVariance, tolerance, $"{path}, movingVariance");
    }

    static void CheckGradients(CaseStep step, ForwardPass pass, int channels, double tolerance, string at)
    {
        float[] dx = new float[step.X.Length];
        float[] dGamma = new float[step.DGamma is null ? 0 : channels],
            dBeta = new float[step.DBeta is null ? 0 : channels];
        BatchNormalization.Backward(pass, step.X, step.Dy, dx, dGamma, dBeta);
        Agree(step.Dx, dx, tolerance, $"{at}, dx");
        if (step.DGamma is not null)
            Agree(step.DGamma, dGamma, tolerance, $"{at}, dgamma");
        if (step.DBeta is not null)
            Agree(step.DBeta, dBeta, tolerance, $"{at}, dbeta");
    }

    /// <summary>A mask covers the shape without its last axis; a layer's covers it without the channel axis.</summary>
    static bool[] Mask(CaseStep step, int[] shape, int axis)
    {
        if (step.Mask is null)
            return [];
        Assert.IsTrue(axis == -1 || axis == shape.Length - 1, "A mask goes with a last channel axis.");
        return Array.ConvertAll(step.Mask, value => value switch
        {
            0 => false,
            1 => true,
            _ => throw new InvalidDataException($"The mask has {value}."),
        });
    }

    static void Agree(double[]? expected, ReadOnlySpan<float> actual, double tolerance, string what) =>
        Agree(expected, Array.ConvertAll(actual.ToArray(), value => (double)value), tolerance, what);

    /// <summary>
    /// What the case does not state, such as the statistics of a layer that keeps none, is not compared.
    /// </summary>
    static void Agree(double[]? expected, ReadOnlySpan<double> actual, double tolerance, string what)
    {
        if (expected is null)
            return;
        Assert.AreEqual(expected.Length, actual.Length, what);
        double bound = tolerance * Math.Max(1, expected.Max(Math.Abs));
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.IsTrue(
                Math.Abs(expected[i] - actual[i]) <= bound,
                string.Create(
                    CultureInfo.InvariantCulture, $"{what}[{i}] is {actual[i]}, expected {expected[i]} ± {bound}."));
        }
    }
}
