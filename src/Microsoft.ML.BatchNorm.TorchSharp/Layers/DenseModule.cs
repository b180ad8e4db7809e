namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>A <see cref="DenseLayer"/>.</summary>
sealed class DenseModule(NetworkNode node, LayerState state, bool isMixed) : KernelModule(node, state, isMixed)
{
    protected override Tensor Product(Tensor x, Tensor kernel, Tensor? bias) => F.linear(x, kernel, bias);
}
