using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>
/// Networks on images are trained as the same modules of TorchSharp's own are: in double, since libtorch's convolutions
/// in float are wrong on some processors.
/// </summary>
[TestClass]
public class ImageNetworkTests
{
    [TestMethod]
    public void Convolutions_and_pooling_train_like_TorchSharp_s_modules()
    {
        Network network = Network.Input(2, 9, 8).WithPreset(NetworkPreset.PyTorch)
            .Conv2D(4, (3, 2), stride: (2, 1), padding: (1, 0), useBias: false).BatchNormalization().ReLU()
            .MaxPool2D(2, stride: 1, padding: 1).Conv2D(5, 2).BatchNormalization().LeakyReLU()
            .AveragePool2D(2, padding: 1).Conv2D(6, 1).Gelu().GlobalAveragePool2D().Dense(3);
        TrainingData data = Runs.Data(network, Loss.SoftmaxCrossEntropy, 40);
        NetworkState initial = network.Initialize(4);
        using ITrainingSession session = new TorchEngine("cpu").Start(
            network, initial, new() { Optimizer = Optimizer.Sgd(momentum: 0.9) }, data);
        double[] losses = Runs.Train(session, 40, 10, epochs: 2, learningRate: 0.05);
        NetworkState state = session.GetState();

        using var scope = torch.NewDisposeScope();
        var first = torch.nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), bias: false);
        var second = torch.nn.Conv2d(4, 5, (2, 2));
        var third = torch.nn.Conv2d(5, 6, (1, 1));
        var norm = torch.nn.BatchNorm2d(4);
        var other = torch.nn.BatchNorm2d(5);
        var head = torch.nn.Linear(6, 3);
        Load(first.weight!, initial["conv2d"].Kernel);
        Load(second.weight!, initial["conv2d_1"].Kernel);
        Load(second.bias!, initial["conv2d_1"].Bias);
        Load(third.weight!, initial["conv2d_2"].Kernel);
        Load(third.bias!, initial["conv2d_2"].Bias);
        Load(head.weight!, initial["dense"].Kernel);
        Load(head.bias!, initial["dense"].Bias);
        var modules = torch.nn.Sequential(
            first, norm, torch.nn.ReLU(), torch.nn.MaxPool2d(2, 1, 1), second, other, torch.nn.LeakyReLU(0.01),
            torch.nn.AvgPool2d(2, 2, 1), third, torch.nn.GELU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
            head).to(torch.ScalarType.Float64);
        var optimizer = torch.optim.SGD(modules.parameters(), 0.05, 0.9);
        var expected = new List<double>();
        foreach (int[] batch in Enumerable.Range(0, 80).Chunk(10))
        {
            int start = batch[0] % 40;
            Tensor x = torch.tensor(data.Features.Slice(start * 144, 10 * 144).ToArray(), [10, 2, 9, 8])
                .to(torch.ScalarType.Float64);
            Tensor y = torch.tensor(data.Targets.Slice(start, 10).ToArray().Select(target => (long)target).ToArray());
            optimizer.zero_grad();
            Tensor loss = torch.nn.functional.cross_entropy(modules.call(x), y);
            loss.backward();
            optimizer.step();
            expected.Add(loss.item<double>());
        }

        Agreement.Within(1e-5, [.. expected], losses, "losses");
        Agree(first.weight!, state["conv2d"].Kernel, "first");
        Agree(second.weight!, state["conv2d_1"].Kernel, "second");
        Agree(third.bias!, state["conv2d_2"].Bias, "third");
        Agree(head.weight!, state["dense"].Kernel, "head");
        Agree(norm.weight!, state["batch_normalization"].BatchNormalization!.Gamma, "gamma");
        Agree(other.bias!, state["batch_normalization_1"].BatchNormalization!.Beta, "beta");
        Agreement.Within(
            1e-5, Doubles(norm.running_var!), state["batch_normalization"].BatchNormalization!.MovingVariance,
            "variance");
        Agreement.Within(
            1e-5, Doubles(other.running_mean!), state["batch_normalization_1"].BatchNormalization!.MovingMean, "mean");

        float[] outputs = new float[120], served = new float[120];
        session.Predict(data.Features.Span, outputs);
        new NetworkModel(network, state).Predict(data.Features.Span, served);
        Agreement.Within(1e-5, Sample.Widen(served), outputs, "outputs");
    }

    static void Load(Tensor parameter, ReadOnlySpan<float> values)
    {
        using (torch.no_grad())
            parameter.copy_(torch.tensor(values.ToArray()).reshape(parameter.shape));
    }

    static void Agree(Tensor expected, ReadOnlySpan<float> actual, string what) =>
        Agreement.Within(1e-5, Doubles(expected), actual, what);

    static double[] Doubles(Tensor tensor) => tensor.detach().data<double>().ToArray();
}
