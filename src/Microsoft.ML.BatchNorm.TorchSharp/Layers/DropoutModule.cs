namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>A <see cref="DropoutLayer"/>, drawn from the session's own generator.</summary>
sealed class DropoutModule(NetworkNode node, DropoutLayer layer, torch.Generator generator) : LayerModule(node)
{
    public override Tensor forward(Tensor x)
    {
        if (!IsTraining || layer.Rate == 0)
            return x;
        using Tensor uniform = torch.rand(x.shape, ScalarType.Float32, x.device, generator: generator);
        return x.mul(uniform.ge(layer.Rate).to(ScalarType.Float32).div_(1 - layer.Rate));
    }
}
