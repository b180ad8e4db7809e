using TorchSharp;
using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>Inference as a user of TorchSharp writes it, on a tensor that is there already.</summary>
sealed class TorchServing : IDisposable
{
    readonly Sequential network;
    readonly Tensor input;

    public TorchServing(Subject subject, NetworkState state, float[] features, int rows)
    {
        network = TorchNetwork.Of(subject.Network, state);
        network.eval();
        // The tensor of an array lies where the array does; libtorch's own memory suits its kernels better.
        using Tensor source = torch.tensor(features, subject.InputShape(rows));
        input = source.clone();
    }

    public void Run()
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        network.call(input);
    }

    public float[] Outputs()
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        return network.call(input).data<float>().ToArray();
    }

    public void Dispose()
    {
        network.Dispose();
        input.Dispose();
    }
}
