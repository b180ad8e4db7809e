using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

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
