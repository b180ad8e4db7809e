using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>A layer with a kernel and an optional bias.</summary>
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

/// <summary>A <see cref="DenseLayer"/>.</summary>
sealed class DenseModule(NetworkNode node, LayerState state, bool isMixed) : KernelModule(node, state, isMixed)
{
    protected override Tensor Product(Tensor x, Tensor kernel, Tensor? bias) => F.linear(x, kernel, bias);
}

/// <summary>A <see cref="Conv2DLayer"/>.</summary>
sealed class Conv2DModule(NetworkNode node, Conv2DLayer layer, LayerState state, bool isMixed, torch.Device device)
    : KernelModule(node, state, isMixed)
{
    readonly long[] stride = [layer.Stride.Height, layer.Stride.Width];
    readonly long[] padding = [layer.Padding.Height, layer.Padding.Width];
    readonly MatrixConvolution? onCpu = device.type == DeviceType.CPU ? new(layer, node.Input) : null;

    protected override Tensor Product(Tensor x, Tensor kernel, Tensor? bias) =>
        onCpu?.Apply(x, kernel, bias) ?? F.conv2d(x, kernel, bias, stride, padding);
}
