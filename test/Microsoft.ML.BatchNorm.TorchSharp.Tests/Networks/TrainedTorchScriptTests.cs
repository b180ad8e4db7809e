using System.IO.Compression;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>The module of <see cref="TorchScriptTests"/> where it learns.</summary>
[TestClass]
public class TrainedTorchScriptTests
{
    static readonly TorchEngine engine = new("cpu");

    static readonly Network network = TorchScriptTests.network.Unfreeze("base");

    static readonly Network own = TorchScriptTests.own.Unfreeze("*");

    static readonly TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 60);

    [TestMethod]
    public void It_learns_and_moves_its_statistics_like_the_same_layers()
    {
        using ITrainingSession script = Start(network, TorchScriptTests.state);
        using ITrainingSession layers = Start(own, TorchScriptTests.ownState);
        Agreement.Within(1e-5, Runs.Train(layers, 60, 20, epochs: 3), Runs.Train(script, 60, 20, epochs: 3));
        NetworkState expected = layers.GetState(), actual = script.GetState();
        network.CheckState(actual);
        Agreement.Within(1e-5, Sample.Widen(expected["dense"].Kernel), actual["dense"].Kernel);
        Dictionary<string, float[]> tensors = Read(actual);
        Agreement.Within(1e-5, Sample.Widen(expected["linear"].Kernel), tensors["weight"]);
        Agreement.Within(1e-5, Sample.Widen(expected["linear"].Bias), tensors["bias"]);
        BatchNormalizationState norm = expected["norm"].BatchNormalization!;
        Agreement.Within(1e-5, norm.MovingMean.ToArray(), tensors["mean"]);
        Agreement.Within(1e-5, norm.MovingVariance.ToArray(), tensors["variance"]);
        Agreement.Within(1e-5, Sample.Widen(Predictions(layers)), Predictions(script));
    }

    [TestMethod]
    [DataRow(DecayedParameters.Kernels)]
    [DataRow(DecayedParameters.All)]
    public void Its_weights_decay_like_those_of_the_same_layers(DecayedParameters decayed)
    {
        var options = new TrainingOptions { Optimizer = Optimizer.AdamW(0.01, 5, decayed) };
        using ITrainingSession script = Start(network, TorchScriptTests.state, options);
        using ITrainingSession layers = Start(own, TorchScriptTests.ownState, options);
        Runs.Train(layers, 60, 20, epochs: 2);
        Runs.Train(script, 60, 20, epochs: 2);
        Dictionary<string, float[]> tensors = Read(script.GetState());
        LayerState linear = layers.GetState()["linear"];
        Agreement.Within(1e-5, Sample.Widen(linear.Kernel), tensors["weight"], "weight");
        Agreement.Within(1e-5, Sample.Widen(linear.Bias), tensors["bias"], "bias");
    }

    [TestMethod]
    public void What_it_learned_is_saved_and_training_continues_from_there()
    {
        using ITrainingSession first = Start(network, TorchScriptTests.state);
        Runs.Train(first, 60, 20, epochs: 2);
        using var stream = new MemoryStream();
        network.Save(stream, first.GetState());
        stream.Position = 0;
        SavedNetwork loaded = Network.Load(stream);
        Assert.AreEqual(first.GetState(), loaded.State);
        using ITrainingSession second = Start(loaded.Network, loaded.State);
        CollectionAssert.AreEqual(Predictions(first), Predictions(second));
        second.SetOptimizerState(first.GetOptimizerState());
        CollectionAssert.AreEqual(Runs.Train(first, 60, 20, epochs: 2), Runs.Train(second, 60, 20, epochs: 2));
        Assert.AreEqual(first.GetState(), second.GetState());
    }

    [TestMethod]
    public void Frozen_again_it_stays_as_it_was_trained()
    {
        using ITrainingSession first = Start(network, TorchScriptTests.state);
        Runs.Train(first, 60, 20, epochs: 1);
        NetworkState trained = first.GetState();
        using ITrainingSession second = Start(network.Freeze("base"), trained);
        CollectionAssert.AreEqual(Predictions(first), Predictions(second));
        Runs.Train(second, 60, 20, epochs: 2);
        Assert.AreEqual(trained["base"], second.GetState()["base"]);
        Assert.AreNotEqual(trained["dense"], second.GetState()["dense"]);
    }

    [TestMethod]
    public void Predictions_move_no_statistics_and_no_training_gives_no_state()
    {
        using ITrainingSession session = Start(network, TorchScriptTests.state);
        CollectionAssert.AreEqual(Predictions(session), Predictions(session));
        Assert.AreEqual(TorchScriptTests.state, session.GetState());
        Runs.Train(session, 60, 20, epochs: 1);
        NetworkState before = session.GetState();
        Predictions(session);
        Assert.AreEqual(before, session.GetState());
    }

    [TestMethod]
    public void A_step_that_diverges_leaves_its_statistics()
    {
        using ITrainingSession session = engine.Start(
            network, TorchScriptTests.state, new() { Loss = Loss.MeanSquaredError },
            Runs.Data(network, Loss.MeanSquaredError, 60));
        session.TrainOnBatch([0, 1, 2, 3], 1e30);
        NetworkState before = session.GetState();
        Assert.ThrowsExactly<TrainingDivergedException>(() => session.TrainOnBatch([4, 5, 6, 7], 0.1));
        Assert.AreEqual(before["base"], session.GetState()["base"]);
    }

    [TestMethod]
    public void A_resumed_run_ends_with_the_same_bytes()
    {
        TrainingOptions options = new()
        {
            Epochs = 3, BatchSize = 20, EarlyStopping = new(), ValidationSplit = 0.2, RecordStatistics = true,
        };
        TrainingResult whole = NetworkTrainer.Train(network, TorchScriptTests.state, data, options, engine: engine);
        using var cancellation = new CancellationTokenSource();
        var canceled = Assert.ThrowsExactly<TrainingCanceledException>(() => NetworkTrainer.Train(
            network, TorchScriptTests.state, data, options, engine: engine,
            progress: new TrainerTests.CancelAt(cancellation, epoch: 2), cancellationToken: cancellation.Token));
        using var stream = new MemoryStream();
        canceled.Checkpoint.Save(stream);
        stream.Position = 0;
        TrainingCheckpoint loaded = TrainingCheckpoint.Load(stream);
        Assert.AreEqual(whole.State, NetworkTrainer.Resume(loaded, data, engine: engine).State);
        Assert.AreNotEqual(whole.State["base"], loaded.State["base"]);
    }

    [TestMethod]
    public void Parameters_that_are_not_float_are_an_error()
    {
        string file = Path.Combine(Directory.CreateTempSubdirectory("script-").FullName, "double.pt");
        using (var module = torch.jit.load<Tensor, Tensor>(TorchScriptTests.path))
        {
            module.to(torch.ScalarType.Float64);
            torch.jit.save(module, file);
        }
        Network wide = Network.FromTorchScript(file, new(4), new(5), "base").Dense(3);
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
        var error = Assert.ThrowsExactly<NotSupportedException>(() => Start(wide.Unfreeze("base"), wide.Initialize()));
        StringAssert.Contains(error.Message, "'weight' is Float64");
    }

    [TestMethod]
    public void A_parameter_that_is_not_used_keeps_its_values()
    {
        Network unused = Edited("torch.addmm(bias, x, torch.t(weight))", "torch.mm(x, torch.t(weight))");
        using ITrainingSession session = Start(unused, TorchScriptTests.state);
        Runs.Train(session, 60, 20);
        Dictionary<string, float[]> tensors = Read(session.GetState());
        CollectionAssert.AreEqual(TorchScriptTests.ownState["linear"].Bias.ToArray(), tensors["bias"]);
        CollectionAssert.AreNotEqual(TorchScriptTests.ownState["linear"].Kernel.ToArray(), tensors["weight"]);
    }

    [TestMethod]
    public void A_module_without_parameters_is_an_error()
    {
        Network bare = Edited("__parameters__ = [\"weight\", \"bias\", ]", "__parameters__ = []");
        var error = Assert.ThrowsExactly<NotSupportedException>(() => Start(bare, TorchScriptTests.state));
        StringAssert.Contains(error.Message, "'base'");
        StringAssert.Contains(error.Message, "freeze it");
        Start(bare.Freeze("base"), TorchScriptTests.state).Dispose();
    }

    [TestMethod]
    public void A_module_with_convolutions_is_an_error_if_libtorch_computes_them_wrongly()
    {
        Network convolution = Edited(
            "torch.addmm(bias, x, torch.t(weight))",
            "torch.flatten(torch.conv2d("
                + "torch.reshape(x, [-1, 4, 1, 1]), torch.reshape(weight, [5, 4, 1, 1]), bias), 1)");
        if (Environment.GetEnvironmentVariable("ONEDNN_MAX_CPU_ISA") == "SSE41")
            Assert.IsTrue(OneDnn.IsRight, "The error names a variable that does not help.");
        if (OneDnn.IsRight)
        {
            using ITrainingSession script = Start(convolution, TorchScriptTests.state);
            using ITrainingSession layers = Start(own, TorchScriptTests.ownState);
            Agreement.Within(1e-5, Runs.Train(layers, 60, 20, epochs: 3), Runs.Train(script, 60, 20, epochs: 3));
            return;
        }
        foreach (Network refused in new[] { convolution, convolution.Freeze("base") })
        {
            var error = Assert.ThrowsExactly<NotSupportedException>(() => Start(refused, TorchScriptTests.state));
            StringAssert.Contains(error.Message, "'base'");
            StringAssert.Contains(error.Message, "ONEDNN_MAX_CPU_ISA to SSE41");
        }
    }

    [TestMethod]
    public void A_module_with_convolutions_is_right_with_the_instructions_that_the_error_names() =>
        DotNetBuild.Execute(
            [
                "exec", typeof(TrainedTorchScriptTests).Assembly.Location, "--filter",
                $"Name~{nameof(A_module_with_convolutions_is_an_error_if_libtorch_computes_them_wrongly)}",
            ],
            environment: ("ONEDNN_MAX_CPU_ISA", "SSE41"));

    [TestMethod]
    public void Frozen_it_stays_in_inference_mode_in_every_mode_of_a_module_around_it()
    {
        using var scope = torch.NewDisposeScope();
        using var module = new NetworkModule(TorchScriptTests.network, TorchScriptTests.state, false, torch.CPU);
        using var parent = torch.nn.Sequential(("child", module));
        Tensor x = torch.tensor(Sample.Floats(40, 1), [10, 4]);
        parent.eval();
        float[] expected = parent.call(x).data<float>().ToArray();
        parent.train();
        CollectionAssert.AreEqual(expected, parent.call(x).data<float>().ToArray());
        CollectionAssert.AreEqual(expected, parent.call(x).data<float>().ToArray());
    }

    /// <summary>The network with a part of the module's source replaced.</summary>
    static Network Edited(string part, string other)
    {
        string folder = Directory.CreateTempSubdirectory("script-").FullName, file = Path.Combine(folder, "base.pt");
        File.Copy(TorchScriptTests.path, file);
        using (ZipArchive archive = ZipFile.Open(file, ZipArchiveMode.Update))
        {
            ZipArchiveEntry entry = archive.Entries.Single(each => each.Name == "__torch__.py");
            string name = entry.FullName, source;
            using (var reader = new StreamReader(entry.Open()))
                source = reader.ReadToEnd();
            StringAssert.Contains(source, part);
            entry.Delete();
            using var writer = new StreamWriter(archive.CreateEntry(name).Open());
            writer.Write(source.Replace(part, other, StringComparison.Ordinal));
        }
        Network edited = Network.FromTorchScript(file, new(4), new(5), "base").Dense(3).Unfreeze("base");
        Directory.Delete(folder, recursive: true);
        return edited;
    }

    static ITrainingSession Start(Network network, NetworkState state, TrainingOptions? options = null) =>
        engine.Start(network, state, options ?? new(), data);

    static float[] Predictions(ITrainingSession session)
    {
        float[] outputs = new float[60 * 3];
        session.Predict(data.Features.Span, outputs);
        return outputs;
    }

    /// <summary>The module's tensors, read as anyone would.</summary>
    static Dictionary<string, float[]> Read(NetworkState state)
    {
        string folder = Directory.CreateTempSubdirectory("script-").FullName, file = Path.Combine(folder, "base.pt");
        File.WriteAllBytes(file, [.. state["base"].TorchScript]);
        using var scope = torch.NewDisposeScope();
        using var module = torch.jit.load<Tensor, Tensor>(file);
        Directory.Delete(folder, recursive: true);
        return module.named_parameters().Select(entry => (entry.name, Tensor: (Tensor)entry.parameter))
            .Concat(module.named_buffers().Select(entry => (entry.name, Tensor: entry.buffer)))
            .ToDictionary(entry => entry.name, entry => entry.Tensor.detach().data<float>().ToArray());
    }
}
