namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>
/// A TorchScript module as a base, frozen. The file's module is <c>relu(batch_norm(x·Wᵀ + b))</c> with W = (i − 9.5)/8,
/// b = j/4 − 0.5, moving mean j/10 and moving variance j/5 + 0.5, saved in training mode.
/// </summary>
[TestClass]
public class TorchScriptTests
{
    internal static readonly string path =
        Path.Combine(AppContext.BaseDirectory, "Networks", "Files", "linear-norm-relu.pt");

    static readonly TorchEngine engine = new("cpu");

    internal static readonly Network network = Network.FromTorchScript(path, new(4), new(5), "base").Dense(3);

    /// <summary>The same network of this project's own layers.</summary>
    internal static readonly Network own = Network.Input(4).Dense(5, name: "linear")
        .BatchNormalization(BatchNormalizationOptions.PyTorch with { Scale = false, Center = false }, name: "norm")
        .ReLU()
        .Freeze("*").Dense(3);

    internal static readonly NetworkState ownState = own.Initialize()
        .With("linear", new LayerState(Numbers(20, i => (i - 9.5f) / 8), Numbers(5, j => j / 4f - 0.5f)))
        .With("norm", new LayerState(new BatchNormalizationState(
            [0, 0.1f, 0.2f, 0.3f, 0.4f], [0.5f, 0.2f + 0.5f, 0.4f + 0.5f, 0.6f + 0.5f, 0.8f + 0.5f])));

    internal static readonly NetworkState state = network.Initialize().With("dense", ownState["dense"]);

    [TestMethod]
    public void A_head_on_it_trains_like_a_head_on_the_same_layers()
    {
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 60);
        using ITrainingSession script = engine.Start(network, state, new(), data);
        using ITrainingSession layers = engine.Start(own, ownState, new(), data);
        Agreement.Within(1e-5, Runs.Train(layers, 60, 20, epochs: 3), Runs.Train(script, 60, 20, epochs: 3));
        Agreement.Within(
            1e-5, Sample.Widen(layers.GetState()["dense"].Kernel), script.GetState()["dense"].Kernel);
        CollectionAssert.AreEqual(new[] { "dense" }, script.GetState().Paths.ToArray());
        network.CheckState(script.GetState());
    }

    [TestMethod]
    public void Gradients_go_through_it()
    {
        Network behind = Network.Input(4).Dense(4).Append(Network.FromTorchScript(path, new(4), new(5)));
        TrainingData data = Runs.Data(behind, Loss.MeanSquaredError, 20);
        using ITrainingSession session = engine.Start(
            behind, behind.Initialize(), new() { Loss = Loss.MeanSquaredError }, data);
        double[] losses = Runs.Train(session, 20, 20, epochs: 50);
        Assert.IsTrue(losses[^1] < losses[0], $"{losses[0]} became {losses[^1]}");
    }

    [TestMethod]
    public void The_core_s_error_says_which_engine_can_run_it()
    {
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 20);
        foreach (Action use in new Action[]
        {
            () => new CpuEngine().Start(network, state, new(), data), () => _ = new NetworkModel(network, state),
        })
        {
            var error = Assert.ThrowsExactly<NotSupportedException>(use);
            StringAssert.Contains(error.Message, "'base'");
            StringAssert.Contains(error.Message, "TorchEngine");
        }
    }

    [TestMethod]
    public void It_is_saved_with_the_network()
    {
        using var stream = new MemoryStream();
        network.Save(stream, state);
        stream.Position = 0;
        SavedNetwork loaded = Network.Load(stream);
        Assert.AreEqual(network, loaded.Network);
        Assert.AreEqual(state, loaded.State);
    }

    [TestMethod]
    public void Bytes_that_are_no_module_and_wrong_shapes_are_errors()
    {
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 20);
        Network damaged = Network.Of(
            new(4), new TorchScriptLayer([1, 2, 3], new(4), new(3)) { Trainable = false, Name = "base" });
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(
                () => engine.Start(damaged, damaged.Initialize(), new(), data)).Message, "'base'");
        Network wrong = Network.FromTorchScript(path, new(4), new(3));
        using ITrainingSession session = engine.Start(wrong, wrong.Initialize(), new(), data);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => session.TrainOnBatch([0, 1], 0.1)).Message, "[5]");
        Assert.ThrowsExactly<ArgumentException>(
            () => Network.Input(3).Append(Network.FromTorchScript(path, new(4), new(5))));
        Assert.ThrowsExactly<ArgumentException>(() => new TorchScriptLayer([], new(4), new(5)));
    }

    static float[] Numbers(int count, Func<int, float> number) => [.. Enumerable.Range(0, count).Select(number)];
}
