using Microsoft.ML.BatchNorm.TorchSharp.Runtime;
using Microsoft.ML.BatchNorm.TorchSharp.Statistics;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>
/// Exact statistics of the batch normalizations in a module. Hooks see what goes into each; a pass over the data
/// settles the first of those that are not settled, since what goes into it is settled already.
/// </summary>
/// <remarks>TorchSharp has hooks from 0.99.4 on.</remarks>
sealed class Recomputation(IReadOnlyList<AnyBatchNorm> norms)
{
    readonly HashSet<AnyBatchNorm> left = [.. norms.Where(norm => !Freeze.KeepsStatistics(norm))];
    AnyBatchNorm? current;
    BatchStatistics? statistics;

    public void Run<TBatch>(torch.nn.Module module, IEnumerable<TBatch> batches, Action<TBatch> forward)
    {
        (torch.nn.Module Module, bool Training)[] modes =
            [.. module.named_modules().Select(entry => entry.module).Prepend(module)
                .Select(each => (each, each.training))];
        List<IDisposable> hooks = [.. left.Select(norm => (IDisposable)new Hook(norm, Add))];
        try
        {
            module.eval();
            using IDisposable noGradient = torch.no_grad();
            while (left.Count > 0)
                Pass(batches, forward);
        }
        finally
        {
            hooks.ForEach(hook => hook.Dispose());
            foreach ((torch.nn.Module each, bool training) in modes)
                each.train(training);
        }
    }

    void Pass<TBatch>(IEnumerable<TBatch> batches, Action<TBatch> forward)
    {
        (current, statistics) = (null, null);
        foreach (TBatch batch in batches)
        {
            using var scope = torch.NewDisposeScope();
            forward(batch);
        }
        if (current is null || statistics is null)
        {
            string names = string.Join(", ", left.Select(norm => $"'{norm.Name}'"));
            throw new InvalidOperationException(
                $"No batch reached {names} by call(); a module that is run by forward() runs no hooks.");
        }
        Write(current, statistics);
        left.Remove(current);
    }

    void Add(AnyBatchNorm norm, Tensor x)
    {
        current ??= left.Contains(norm) ? norm : null;
        if (current != norm)
            return;
        using var scope = torch.NewDisposeScope();
        BatchStatistics batch = DeviceStatistics.Of(x.reshape(x.shape[0], x.shape[1], -1));
        if (!DeviceStatistics.AreFinite(batch))
            throw new InvalidDataException($"The input of '{norm.Name}' is not finite.");
        if (statistics is null)
            statistics = batch;
        else
            statistics.Merge(batch);
    }

    static void Write(AnyBatchNorm norm, BatchStatistics statistics)
    {
        double[] variance = new double[statistics.Channels];
        for (int c = 0; c < variance.Length; c++)
            variance[c] = statistics.Variance(c, VarianceConvention.Sample);
        using var scope = torch.NewDisposeScope();
        norm.RunningMean!.copy_(Tensors.Upload(statistics.Mean, torch.CPU, statistics.Channels));
        norm.RunningVariance!.copy_(Tensors.Upload<double>(variance, torch.CPU, variance.Length));
    }

    /// <summary>Hands each input of a batch normalization on, as long as it is not disposed.</summary>
    sealed class Hook : IDisposable
    {
        readonly Action remove;

        public Hook(AnyBatchNorm norm, Action<AnyBatchNorm, Tensor> add)
        {
            var remover = norm.Module.register_forward_pre_hook((_, x) =>
            {
                add(norm, x);
                return x;
            });
            remove = remover.remove;
        }

        public void Dispose() => remove();
    }
}
