namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>What PyTorch computes in double, step by step, in every network case of test/parity.</summary>
[TestClass]
public class ParityTests
{
    const double GpuTolerance = 1e-3;

    static string FilePath => Path.Combine(AppContext.BaseDirectory, "parity", "torch-networks.json");

    static IEnumerable<object[]> Cases =>
        ParityFile.Read(FilePath).Cases.Select((_, i) => new object[] { i });

    public static string Name(System.Reflection.MethodInfo method, object[] data) =>
        $"{method.Name}: {ParityFile.Read(FilePath).Cases[(int)data[0]].Name}";

    [TestMethod]
    [DynamicData(nameof(Cases), DynamicDataDisplayName = nameof(Name))]
    public void A_network_trained_by_libtorch_on_the_CPU_is_the_reference(int index) => Check(new("cpu"), index);

    [TestMethod]
    [DynamicData(nameof(Cases), DynamicDataDisplayName = nameof(Name))]
    public void A_network_trained_on_streamed_data_is_the_reference(int index) =>
        Check(new("cpu", new() { DataBytesOnDevice = 0 }), index);

    [TestMethod]
    [TestCategory("Gpu")]
    [DynamicData(nameof(Cases), DynamicDataDisplayName = nameof(Name))]
    public void A_network_trained_on_a_GPU_is_the_reference(int index)
    {
        Gpu.Need();
        Check(new("cuda"), index, GpuTolerance);
        Check(new("cuda", new() { DataBytesOnDevice = 0 }), index, GpuTolerance);
    }

    static IEnumerable<object[]> Graphs => GraphFile.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Graphs))]
    public void A_network_that_branches_is_the_reference(string name)
    {
        GraphFile.Check(name, new TorchEngine("cpu"));
        GraphFile.CheckInputGradient(name, new TorchEngine("cpu"));
    }

    static IEnumerable<object[]> Activations => ActivationFile.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Activations))]
    public void An_activation_is_the_reference(string file) => ActivationFile.Read(file).Check(new TorchEngine("cpu"));

    static void Check(TorchEngine engine, int index, double least = 0)
    {
        ParityFile file = ParityFile.Read(FilePath);
        NetworkCase reference = file.Cases[index];
        Network network = reference.Network();
        using ITrainingSession session =
            engine.Start(network, reference.State(), reference.Options(), reference.Data());
        double[] losses = new double[reference.Batches.Length];
        for (int batch = 0; batch < losses.Length; batch++)
        {
            int[] rows = [.. Enumerable.Range(batch * reference.BatchSize, reference.BatchSize)];
            session.TrainOnBatch(rows, reference.Optimizer.LearningRate);
        }
        Assert.AreEqual(losses.Length, session.ReadLosses(losses));
        Agreement.Within(Math.Max(least, file.Tolerance["loss"]), reference.Expected.Losses, losses, "losses");
        NetworkState state = session.GetState();
        network.CheckState(state);
        foreach ((NetworkNode node, CaseLayer layer) in network.Nodes.Zip(reference.Expected.Layers))
        {
            if (layer.ToState() is not null)
                Agree(layer, state[node.Path], Math.Max(least, file.Tolerance["state"]), node.Path);
        }
        float[] y = new float[reference.Expected.Inference.Y.Length];
        session.Predict(reference.Expected.Inference.X, y);
        Agreement.Within(Math.Max(least, file.Tolerance["output"]), reference.Expected.Inference.Y, y, "outputs");
    }

    static void Agree(CaseLayer expected, LayerState actual, double tolerance, string path)
    {
        if (actual.BatchNormalization is { } normalization)
        {
            Agreement.Within(tolerance, expected.Gamma, normalization.Gamma, $"{path}/gamma");
            Agreement.Within(tolerance, expected.Beta, normalization.Beta, $"{path}/beta");
            Agreement.Within(tolerance, expected.MovingMean, normalization.MovingMean, $"{path}/movingMean");
            Agreement.Within(tolerance, expected.MovingVariance, normalization.MovingVariance,
                $"{path}/movingVariance");
            return;
        }
        Agreement.Within(tolerance, expected.Weight, actual.Kernel, $"{path}/kernel");
        Agreement.Within(tolerance, expected.Bias ?? [], actual.Bias, $"{path}/bias");
    }
}
