using Microsoft.ML.BatchNorm.TorchSharp.Training;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>A layer with a kernel and, it may be, a bias.</summary>
abstract class KernelModule : LayerModule
{
    readonly bool isMixed;
    readonly ParameterSlot kernel;
    readonly ParameterSlot? bias;

    protected KernelModule(NetworkNode node, LayerState state, bool isMixed) : base(node, state)
    {
        this.isMixed = isMixed;
        kernel = Slot("kernel")!;
        bias = Slot("bias");
    }

    public override Tensor forward(Tensor x)
    {
        if (!isMixed || !IsTraining)
            return Product(x, kernel.Tensor, bias?.Tensor);
        Tensor product = Product(
            x.to(ScalarType.BFloat16), kernel.Tensor.to(ScalarType.BFloat16), bias?.Tensor.to(ScalarType.BFloat16));
        return product.to(ScalarType.Float32);
    }

    protected abstract Tensor Product(Tensor x, Tensor kernel, Tensor? bias);
}
