using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm.TorchSharp.Runtime;
using BatchNormModule = TorchSharp.Modules.BatchNorm;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>One of TorchSharp's batch normalizations, by its name.</summary>
/// <param name="Name">Its name below the module that it was looked for in.</param>
/// <param name="Module">The module.</param>
sealed record AnyBatchNorm(string Name, BatchNormModule Module)
{
    const double Noise = 1e-5;

    /// <summary>γ, or null.</summary>
    public Tensor? Weight => Module.weight;

    /// <summary>β, or null.</summary>
    public Tensor? Bias => Module.bias;

    /// <summary>The moving mean, or null.</summary>
    public Tensor? RunningMean => Module.running_mean;

    /// <summary>The moving variance, or null.</summary>
    public Tensor? RunningVariance => Module.running_var;

    /// <summary>How many batches training mode has seen, or null.</summary>
    public Tensor? BatchesTracked => Module.num_batches_tracked;

    /// <summary>Whether it is the same module, by whatever name.</summary>
    public bool Equals(AnyBatchNorm? other) => ReferenceEquals(Module, other?.Module);

    public override int GetHashCode() => RuntimeHelpers.GetHashCode(Module);

    /// <summary>
    /// Takes the sample statistics for the moving ones; true where that changes more than the noise of a device.
    /// </summary>
    public bool Take(BatchStatistics statistics)
    {
        double[] variance = new double[statistics.Channels];
        double[] oldMean = Tensors.Download<double>(RunningMean!), old = Tensors.Download<double>(RunningVariance!);
        bool changes = false;
        for (int c = 0; c < variance.Length; c++)
        {
            variance[c] = statistics.Variance(c, VarianceConvention.Sample);
            changes |= Math.Abs(oldMean[c] - statistics.Mean[c])
                > Noise * (Math.Sqrt(variance[c]) + 0.1 * Math.Abs(oldMean[c]))
                || Math.Abs(old[c] - variance[c]) > Noise * variance[c];
        }
        using var scope = torch.NewDisposeScope();
        RunningMean!.copy_(Tensors.Upload(statistics.Mean, torch.CPU, statistics.Channels));
        RunningVariance!.copy_(Tensors.Upload<double>(variance, torch.CPU, variance.Length));
        return changes;
    }

    /// <summary>Sets the number of batches that the statistics are of.</summary>
    public void SetBatchesTracked(long batches)
    {
        using var scope = torch.NewDisposeScope();
        BatchesTracked!.fill_(Scalars.Of(batches));
    }

    /// <summary>All in a module, itself among them, in the order in which they are registered.</summary>
    public static IReadOnlyList<AnyBatchNorm> In(torch.nn.Module module)
    {
        ArgumentNullException.ThrowIfNull(module);
        return
        [
            .. from entry in module.named_modules().Prepend((name: "", module)).DistinctBy(entry => entry.module)
               where entry.module is BatchNormModule
               select new AnyBatchNorm(entry.name, (BatchNormModule)entry.module),
        ];
    }

    /// <summary>
    /// Those whose name, or that of a module around them, a pattern matches; all where there are no patterns.
    /// </summary>
    /// <exception cref="ArgumentException">A pattern matches none.</exception>
    public static IReadOnlyList<AnyBatchNorm> In(torch.nn.Module module, IEnumerable<string>? patterns)
    {
        IReadOnlyList<AnyBatchNorm> all = In(module);
        if (patterns is null)
            return all;
        string[] wanted = [.. patterns];
        foreach (string pattern in wanted)
        {
            if (!all.Any(norm => PathPattern.Matches(pattern, norm.Name)))
                throw new ArgumentException(
                    $"'{pattern}' matches no batch normalization; there are "
                    + $"{string.Join(", ", all.Select(norm => norm.Name))}.",
                    nameof(patterns));
        }
        return [.. all.Where(norm => wanted.Any(pattern => PathPattern.Matches(pattern, norm.Name)))];
    }
}
