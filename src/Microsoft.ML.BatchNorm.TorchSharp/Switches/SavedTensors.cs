using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Switches;

/// <summary>Values of tensors, put back when this is disposed of. Inside <c>no_grad()</c>.</summary>
sealed class SavedTensors(IEnumerable<Tensor> tensors) : IDisposable
{
    readonly (Tensor Now, Tensor Before)[] values =
        [.. tensors.Select(tensor => (tensor, Tensors.Keep(tensor.clone())))];

    /// <summary>Whether the tensors stay as they are then.</summary>
    public bool Stay { get; set; }

    /// <summary>The moving statistics of layers.</summary>
    public static SavedTensors StatisticsOf(params IEnumerable<AnyBatchNorm> norms) =>
        new(norms.SelectMany(norm => new[] { norm.RunningMean!, norm.RunningVariance! }));

    public void Dispose()
    {
        using var scope = torch.NewDisposeScope();
        foreach ((Tensor now, Tensor before) in values)
        {
            if (!Stay)
                now.copy_(before);
            before.Dispose();
        }
    }
}
