using Microsoft.ML.BatchNorm.TorchSharp.Runtime;

namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>
/// oneDNN, from which libtorch takes its convolutions on the CPU. The engine's own layers do without it, see
/// <see cref="MatrixConvolution"/>; a TorchScript module cannot.
/// </summary>
static class OneDnn
{
    /// <summary>Far above rounding; what has been seen to be wrong is wrong by a tenth and more.</summary>
    const double Tolerance = 1e-3;

    static readonly (int Channels, Conv2DLayer Layer)[] known =
    [
        (48, new(16, 2) { Stride = new(2, 1), Padding = 1, UseBias = false }),
        (20, new(50, 3) { UseBias = false }),
        (4, new(5, 2) { UseBias = false }),
    ];

    static readonly Lazy<bool> isRight = new(() => Array.TrueForAll(known, each => Agrees(each.Channels, each.Layer)));

    /// <summary>
    /// Whether the convolutions that it is known to get wrong on some processors are right in this process.
    /// </summary>
    public static bool IsRight => isRight.Value;

    static bool Agrees(int channels, Conv2DLayer layer)
    {
        using var scope = torch.NewDisposeScope();
        var input = new TensorShape(channels, 6, 2 * layer.KernelSize.Width);
        var product = new MatrixConvolution(layer, input);
        Tensor kernel = Waves(layer.Filters, channels, layer.KernelSize.Height, layer.KernelSize.Width);
        long[] stride = [layer.Stride.Height, layer.Stride.Width];
        long[] padding = [layer.Padding.Height, layer.Padding.Width];
        (Tensor y, Tensor dx) = Run(x => F.conv2d(x, kernel, null, stride, padding));
        (Tensor expected, Tensor expectedDx) = Run(x => product.Apply(x, kernel, null));
        return AreClose(expected, y) && AreClose(expectedDx, dx);

        (Tensor, Tensor) Run(Func<Tensor, Tensor> convolve)
        {
            Tensor x = Waves(2, input[0], input[1], input[2]).requires_grad_();
            LeaveNaNInFreedMemory();
            Tensor y = convolve(x);
            LeaveNaNInFreedMemory();
            y.mul(y.detach()).sum().backward();
            return (y.detach(), x.grad!);
        }
    }

    /// <summary>Fills memory with NaN and frees it, so that a read of memory that was not written shows.</summary>
    static void LeaveNaNInFreedMemory()
    {
        using var scope = torch.NewDisposeScope();
        for (int length = 16; length <= 1 << 18; length *= 2)
        {
            for (int i = 0; i < 4; i++)
                torch.full([length], Scalars.Of(float.NaN), ScalarType.Float32, torch.CPU);
        }
    }

    static Tensor Waves(params long[] shape)
    {
        long count = shape.Aggregate(1L, (a, b) => a * b);
        Tensor counted = torch.arange(
            Scalars.Of(0), Scalars.Of(count), Scalars.One, ScalarType.Float32, torch.CPU);
        return counted.sin().reshape(shape);
    }

    static bool AreClose(Tensor expected, Tensor actual) =>
        expected.sub(actual).abs().max().le(expected.abs().max().mul(Scalars.Of(Tolerance))).item<bool>();
}
