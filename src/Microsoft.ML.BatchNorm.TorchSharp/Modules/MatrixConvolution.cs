namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>
/// A convolution on the CPU by libtorch's own matrix products: <c>thnn_conv2d</c>, which TorchScript can call and
/// TorchSharp cannot.
/// </summary>
/// <remarks>
/// On the CPU <c>conv2d</c> uses oneDNN. The oneDNN in libtorch 2.10 reads memory that it has not written if a number
/// of channels is not a multiple of 16. If it is one, the gradients of the input are wrong for some strides. Both were
/// seen on an AMD EPYC of family 26, with AVX2 and with AVX-512, in float32 and in bfloat16.
/// </remarks>
sealed class MatrixConvolution
{
    /// <summary>
    /// How many values are gathered for one product. For many more, the allocator asks the system for new memory each
    /// time.
    /// </summary>
    const int Columns = 1 << 20;

    // Compiled once, since libtorch does not free all memory of a compiled function.
    static readonly torch.jit.CompilationUnit unit = torch.jit.compile(
        "def convolve(x, kernel, bias: Optional[Tensor], down: int, right: int, above: int, left: int):\n"
        + "  size = [kernel.size(2), kernel.size(3)]\n"
        + "  return torch.thnn_conv2d(x, kernel, size, bias, [down, right], [above, left])\n");

    readonly Conv2DLayer layer;
    readonly long rowsAtATime;

    public MatrixConvolution(Conv2DLayer layer, TensorShape input)
    {
        this.layer = layer;
        TensorShape output = layer.OutputShape(input);
        long columns = (long)input[0] * layer.KernelSize.Height * layer.KernelSize.Width * output[1] * output[2];
        rowsAtATime = Math.Max(1, Columns / columns);
    }

    /// <remarks>
    /// bfloat16 is multiplied in float32 and rounded afterwards. Otherwise libtorch would add up a kernel's gradient
    /// over the rows in bfloat16.
    /// </remarks>
    public Tensor Apply(Tensor x, Tensor kernel, Tensor? bias)
    {
        Tensor wide = x.to(ScalarType.Float32), wideKernel = kernel.to(ScalarType.Float32);
        Tensor? wideBias = bias?.to(ScalarType.Float32);
        Tensor y = x.shape[0] <= rowsAtATime
            ? Product(wide, wideKernel, wideBias)
            : torch.cat([.. wide.split(rowsAtATime).Select(rows => Product(rows, wideKernel, wideBias))]);
        return y.to(x.dtype);
    }

    /// <remarks>
    /// The four numbers must be of type <c>int</c>: TorchSharp makes a scalar of a <c>long</c> and does not keep it
    /// alive, see <see cref="Scalars"/>.
    /// </remarks>
    Tensor Product(Tensor x, Tensor kernel, Tensor? bias) => (Tensor)unit.invoke(
        "convolve", x, kernel, bias!, layer.Stride.Height, layer.Stride.Width, layer.Padding.Height,
        layer.Padding.Width);
}

/// <summary>
/// Tests oneDNN, with which libtorch computes convolutions on the CPU. The engine's own layers do not use it, see
/// <see cref="MatrixConvolution"/>, but a TorchScript module does.
/// </summary>
static class OneDnn
{
    /// <summary>Far above rounding: the wrong results that were seen are wrong by a tenth or more.</summary>
    const double Tolerance = 1e-3;

    // Each of them is wrong on some processors.
    static readonly (int Channels, Conv2DLayer Layer)[] known =
    [
        (48, new(16, 2) { Stride = new(2, 1), Padding = 1, UseBias = false }),
        (20, new(50, 3) { UseBias = false }),
        (4, new(5, 2) { UseBias = false }),
    ];

    static readonly Lazy<bool> isRight = new(() => Array.TrueForAll(known, each => Agrees(each.Channels, each.Layer)));

    /// <summary>Whether the convolutions that are wrong on some processors are right in this process.</summary>
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

    /// <summary>Fills memory with NaN and frees it, so that reading memory before writing it gives NaN.</summary>
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
