namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>A frozen batch normalization of this project's networks stays in inference mode as a module, too.</summary>
[TestClass]
public class FrozenTests
{
    [TestMethod]
    [DataRow(false, true)]
    [DataRow(true, false)]
    public void Training_mode_of_a_module_around_it_does_not_unfreeze_it(bool trainable, bool updateStatistics)
    {
        BatchNormalizationOptions options = BatchNormalizationOptions.Keras with
        {
            Trainable = trainable, UpdateStatistics = updateStatistics,
        };
        Network network = Network.Input(3).Append(Network.Input(3).BatchNormalization(options, name: "norm"), "base");
        NetworkState state = network.Initialize().With(
            "base/norm", new LayerState(Sample.State(options, 3)));
        float[] x = Sample.Floats(30, 1), expected = new float[30];
        BatchNormalization.Forward(
            options, state["base/norm"].BatchNormalization!, ChannelLayout.Features(10, 3), x, expected,
            training: false);
        using var scope = torch.NewDisposeScope();
        using var module = new NetworkModule(network, state, false, torch.CPU);
        using var parent = torch.nn.Sequential(("child", module));
        Tensor input = Tensors.Upload<float>(x, torch.CPU, 10, 3);
        foreach (bool mode in new[] { false, true, false, true })
        {
            parent.train(mode);
            Agreement.Within(1e-6, Sample.Widen(expected), Tensors.Download<float>(parent.call(input)),
                $"train({mode})");
        }
    }

    [TestMethod]
    public void A_batch_normalization_that_is_not_frozen_follows_the_mode_of_a_module_around_it()
    {
        Network network = Network.Input(3).BatchNormalization();
        using var scope = torch.NewDisposeScope();
        using var module = new NetworkModule(network, network.Initialize(), false, torch.CPU);
        using var parent = torch.nn.Sequential(("child", module));
        Tensor input = Tensors.Upload<float>(Sample.Floats(30, 1, mean: 5), torch.CPU, 10, 3);
        parent.train();
        Assert.AreEqual(0, parent.call(input).mean().item<float>(), 1e-5);
        parent.eval();
        Assert.AreEqual(5, parent.call(input).mean().item<float>(), 1);
    }
}
