using TorchSharp;

namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>The same input as a tensor, and libtorch's batch normalization of it.</summary>
sealed class TorchInput : IDisposable
{
    readonly Tensor x, mean, variance, gamma, beta, gradient;
    readonly long[] positions;
    readonly double momentum, epsilon;

    public TorchInput(ChannelInput input)
    {
        using IDisposable quiet = torch.no_grad();
        using Tensor source = torch.tensor(input.Values, Array.ConvertAll(input.Shape, size => (long)size));
        x = source.clone();
        gradient = x - 5;
        (mean, variance) = (torch.zeros(input.Channels), torch.ones(input.Channels));
        gamma = torch.ones(input.Channels, requires_grad: true);
        beta = torch.zeros(input.Channels, requires_grad: true);
        positions = [.. Enumerable.Range(0, input.Shape.Length).Where(axis => axis != 1).Select(axis => (long)axis)];
        (momentum, epsilon) = (1 - input.Options.EffectiveMomentum, input.Options.EffectiveEpsilon);
    }

    public void Infer()
    {
        using IDisposable noGradient = torch.no_grad();
        using Tensor y = Normalize(x, training: false);
    }

    public void Statistics()
    {
        using IDisposable noGradient = torch.no_grad();
        (Tensor variances, Tensor means) = torch.var_mean(x, positions, unbiased: false);
        variances.Dispose();
        means.Dispose();
    }

    public void Train(int batchRows)
    {
        using IDisposable noGradient = torch.no_grad();
        for (long row = 0; row < x.shape[0]; row += batchRows)
        {
            using Tensor batch = x.narrow(0, row, Math.Min(batchRows, x.shape[0] - row));
            using Tensor y = Normalize(batch, training: true);
        }
    }

    public void TrainAndBack()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        Tensor learning = x.detach().requires_grad_();
        torch.autograd.grad([Normalize(learning, training: true)], [learning, gamma, beta], [gradient]);
    }

    public void Dispose() => Array.ForEach([x, mean, variance, gamma, beta, gradient], tensor => tensor.Dispose());

    Tensor Normalize(Tensor input, bool training) => torch.nn.functional.batch_norm(
        input, mean, variance, gamma, beta, training, momentum, epsilon);
}
