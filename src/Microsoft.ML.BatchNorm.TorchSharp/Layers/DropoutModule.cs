using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>
/// A <see cref="DropoutLayer"/>, whose choice is a function of the step's key and of its place in the network.
/// </summary>
sealed class DropoutModule(NetworkNode node, DropoutLayer layer, CounterRandom random, int place) : LayerModule(node)
{
    /// <summary>The key of the step.</summary>
    public ulong StepKey { get; set; }

    public override Tensor forward(Tensor x)
    {
        if (!IsTraining || layer.Rate == 0)
            return x.alias();
        Tensor kept = random.AtLeast(layer.Rate, x.NumberOfElements, CounterRandom.Key(StepKey, (ulong)place));
        return x.mul(kept.mul_(Scalars.Of(1 / (1 - layer.Rate))).reshape(x.shape));
    }
}
