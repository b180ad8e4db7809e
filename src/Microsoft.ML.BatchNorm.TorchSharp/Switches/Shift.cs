using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>Moves the means of layers by more than a deviation until this is disposed of.</summary>
sealed class Shift : IDisposable
{
    readonly SavedTensors saved;

    public Shift(IEnumerable<AnyBatchNorm> norms)
    {
        AnyBatchNorm[] shifted = [.. norms];
        saved = SavedTensors.StatisticsOf(shifted);
        using var scope = torch.NewDisposeScope();
        foreach (AnyBatchNorm norm in shifted)
            norm.RunningMean!.add_(norm.RunningVariance!.sqrt(), Scalars.One).add_(Scalars.One, Scalars.One);
    }

    public void Dispose() => saved.Dispose();
}
