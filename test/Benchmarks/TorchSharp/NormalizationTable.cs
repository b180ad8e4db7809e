using System.Globalization;
using Microsoft.ML.BatchNorm.TorchSharp.Layers;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>
/// Batch normalization in training mode as the engine runs it, beside TorchSharp's own functional batch norm and a copy
/// of the same bytes on the device. Forward counts one read and one write; with backward, three reads and two writes.
/// </summary>
static class NormalizationTable
{
    static readonly (string Name, long[] Shape)[] Inputs =
    [
        ("4,096x1,024", [4096, 1024]),
        ("1,048,576x64", [1_048_576, 64]),
        ("64x256x56x56", [64, 256, 56, 56]),
    ];

    public static void Print(string device)
    {
        foreach ((string name, long[] shape) in Inputs)
        {
            using var scope = torch.NewDisposeScope();
            var on = new torch.Device(device);
            Tensor x = torch.randn(shape, torch.float32, on, requires_grad: true);
            Tensor gradient = torch.randn(shape, torch.float32, on);
            Tensor plain = x.detach(), copy = torch.empty_like(plain);
            int channels = (int)shape[1];
            Network network = Network.Input([.. shape.Skip(1).Select(d => (int)d)]).BatchNormalization();
            using var module = new NetworkModule(network, network.Initialize(), false, on);
            Tensor mean = torch.zeros(channels, torch.float32, on), variance = torch.ones(channels, torch.float32, on);
            Tensor gamma = torch.ones(channels, torch.float32, on, requires_grad: true);
            Tensor beta = torch.zeros(channels, torch.float32, on, requires_grad: true);
            Tensor Functional(Tensor input) =>
                torch.nn.functional.batch_norm(input, mean, variance, gamma, beta, true, 0.01, 1e-3);
            double bytes = x.NumberOfElements * sizeof(float);
            double[] times = Rounds.Medians(
                device,
                () => copy.copy_(plain),
                () => Forward(module.forward, plain), () => Forward(Functional, plain),
                () => Both(module.forward, x, gradient), () => Both(Functional, x, gradient));
            Show(name, "forward", 2 * bytes, times[1], times[2], times[0]);
            Show(name, "forward and backward", 5 * bytes, times[3], times[4], times[0] * 2.5);
        }
    }

    static void Forward(Func<Tensor, Tensor> normalize, Tensor x)
    {
        using IDisposable noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        normalize(x);
    }

    static void Both(Func<Tensor, Tensor> normalize, Tensor x, Tensor gradient)
    {
        using var scope = torch.NewDisposeScope();
        torch.autograd.grad([normalize(x)], [x], [gradient]);
    }

    static void Show(string name, string what, double bytes, double ours, double theirs, double copy) =>
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name} {what}: {bytes / ours / 1e9:0.0} GB/s, TorchSharp's own {bytes / theirs / 1e9:0.0} GB/s " +
            $"(ratio {theirs / ours:0.00}), a copy {bytes / copy / 1e9:0.0} GB/s"));
}
