using Microsoft.ML.BatchNorm.TorchSharp;
using TorchSharp;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Batch normalization in training mode as the TorchSharp engine runs it on a device.</summary>
static class TorchNormalizationTable
{
    static readonly long[][] Shapes = [[4096, 1024], [1_048_576, 64], [64, 256, 56, 56]];

    public static Table Make(string device) => new(
        "torch-normalization",
        $"Batch normalization in training mode as the TorchSharp engine runs it on {Libtorch.Place(device)}, beside\n"
        + "TorchSharp's functional.batch_norm. Bytes of the input twice for outputs, five times with gradients.",
        Unit.GigabytesPerSecond, ["TorchSharp", "a copy"],
        from shape in Libtorch.Problem.Length > 0 ? [] : Shapes
        from gradients in new[] { false, true }
        select new Comparison(
            string.Join('x', shape.Select(size => $"{size:N0}")) + (gradients ? " forward and backward" : " forward"),
            () => Contest(shape, gradients, device)));

    static Contest Contest(long[] shape, bool gradients, string device)
    {
        Libtorch.TakeThreads(device);
        DisposeScope scope = torch.NewDisposeScope();
        var on = new torch.Device(device);
        Tensor x = torch.randn(shape, torch.float32, on, requires_grad: true);
        Tensor gradient = torch.randn(shape, torch.float32, on);
        Tensor plain = x.detach(), copy = torch.empty_like(plain);
        int channels = (int)shape[1];
        Network network = Network.Input([.. shape.Skip(1).Select(size => (int)size)]).BatchNormalization();
        var module = new NetworkModule(network, network.Initialize(), false, on);
        Tensor mean = torch.zeros(channels, torch.float32, on), variance = torch.ones(channels, torch.float32, on);
        Tensor gamma = torch.ones(channels, torch.float32, on, requires_grad: true);
        Tensor beta = torch.zeros(channels, torch.float32, on, requires_grad: true);
        double bytes = x.NumberOfElements * sizeof(float);
        return new Contest((gradients ? 5 : 2) * bytes, () => Run(module.forward))
            { HasThreads = true, Wait = () => Libtorch.Wait(device) }
            .Against(() => Run(Functional)).Against(() => copy.copy_(plain), 2 * bytes).Owning(scope, module);

        Tensor Functional(Tensor input) =>
            torch.nn.functional.batch_norm(input, mean, variance, gamma, beta, true, 0.01, 1e-3);

        void Run(Func<Tensor, Tensor> normalize)
        {
            using DisposeScope inner = torch.NewDisposeScope();
            if (gradients)
            {
                torch.autograd.grad([normalize(x)], [x], [gradient]);
                return;
            }
            using IDisposable noGradient = torch.no_grad();
            normalize(plain);
        }
    }
}
