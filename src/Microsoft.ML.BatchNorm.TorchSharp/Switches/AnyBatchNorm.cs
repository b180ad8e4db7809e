using System.Runtime.CompilerServices;
using Microsoft.ML.BatchNorm.TorchSharp.Runtime;
using TorchSharp.Modules;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>One of TorchSharp's batch normalizations, whose types have nothing but their module in common.</summary>
/// <param name="Name">Its name below the module that it was looked for in.</param>
/// <param name="Module">The module.</param>
/// <param name="Weight">γ, or null.</param>
/// <param name="Bias">β, or null.</param>
/// <param name="RunningMean">The moving mean, or null.</param>
/// <param name="RunningVariance">The moving variance, or null.</param>
/// <param name="BatchesTracked">How many batches training mode has seen, or null.</param>
sealed record AnyBatchNorm(
    string Name, torch.nn.Module<Tensor, Tensor> Module, Tensor? Weight, Tensor? Bias, Tensor? RunningMean,
    Tensor? RunningVariance, Tensor? BatchesTracked)
{
    const double Noise = 1e-5;

    /// <summary>Whether it is the same module; records would compare the tensors' values.</summary>
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

    /// <summary>All in a module, itself among them, in the order in which they are registered.</summary>
    public static IReadOnlyList<AnyBatchNorm> In(torch.nn.Module module)
    {
        ArgumentNullException.ThrowIfNull(module);
        return [.. module.named_modules().Prepend((name: "", module)).DistinctBy(entry => entry.module)
            .Select(entry => Of(entry.name, entry.module)).OfType<AnyBatchNorm>()];
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

    static AnyBatchNorm? Of(string name, torch.nn.Module module) => module switch
    {
        BatchNorm1d norm => new(
            name, norm, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked),
        BatchNorm2d norm => new(
            name, norm, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked),
        BatchNorm3d norm => new(
            name, norm, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked),
        _ => null,
    };
}
