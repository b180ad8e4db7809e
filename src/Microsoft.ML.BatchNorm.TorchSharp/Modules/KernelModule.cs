using TorchSharp;

namespace Microsoft.ML.BatchNorm.TorchSharp;

/// <summary>A layer that multiplies by a kernel and adds a bias, if it has one.</summary>
abstract class KernelModule : LayerModule
{
    readonly bool isMixed;
    readonly DeviceParameter kernel;
    readonly DeviceParameter? bias;

    protected KernelModule(NetworkNode node, LayerState state, bool isMixed) : base(node, state)
    {
        this.isMixed = isMixed;
        kernel = Parameter("kernel")!;
        bias = Parameter("bias");
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
sealed class Conv2DModule : KernelModule
{
    readonly Conv2DLayer layer;
    readonly long[] stride, dilation, padding;

    /// <summary>Padding that <c>conv2d</c> cannot have, in the order of <c>pad</c>; null if there is none.</summary>
    readonly long[]? sides;

    readonly CpuConvolution? onCpu;

    public Conv2DModule(NetworkNode node, Conv2DLayer layer, LayerState state, bool isMixed, torch.Device device)
        : base(node, state, isMixed)
    {
        this.layer = layer;
        stride = [layer.Stride.Height, layer.Stride.Width];
        dilation = [layer.Dilation.Height, layer.Dilation.Width];
        Padding2D around = layer.Window.On(node.Input).Padding;
        (padding, sides) = around.IsSymmetric
            ? ([around.Top, around.Left], null)
            : ((long[])[0, 0], (long[])[around.Left, around.Right, around.Top, around.Bottom]);
        onCpu = device.type == DeviceType.CPU ? new(layer, node.Input) : null;
    }

    protected override Tensor Product(Tensor x, Tensor kernel, Tensor? bias)
    {
        Tensor padded = sides is null ? x : F.pad(x, sides);
        return onCpu?.Apply(padded, kernel, bias, padding)
            ?? F.conv2d(padded, kernel, bias, stride, padding, dilation, layer.Groups);
    }
}

/// <summary>
/// A convolution on the CPU by libtorch's own matrix products: <c>thnn_conv2d</c>, which TorchScript can call and
/// TorchSharp cannot, or with groups or dilation the unfolded windows times the kernel.
/// </summary>
/// <remarks>
/// On the CPU, <c>conv2d</c> uses oneDNN. The oneDNN in libtorch 2.10 reads memory that it has not written if a number
/// of channels is not a multiple of 16. If all are multiples of 16, the gradients of the input are wrong for some
/// strides. Both were seen on an AMD EPYC of family 26, with AVX2 and with AVX-512, in float32 and in bfloat16.
/// </remarks>
sealed class CpuConvolution
{
    /// <summary>
    /// How many values one product gathers into its columns at most. For many more, the allocator would ask the system
    /// for new memory each time.
    /// </summary>
    const int MaxColumnValues = 1 << 20;

    // Compiled only once, since libtorch does not free all memory of a compiled function.
    static readonly torch.jit.CompilationUnit unit = torch.jit.compile(
        "def convolve(x, kernel, bias: Optional[Tensor], down: int, right: int, above: int, left: int):\n"
        + "  size = [kernel.size(2), kernel.size(3)]\n"
        + "  return torch.thnn_conv2d(x, kernel, size, bias, [down, right], [above, left])\n");

    readonly Conv2DLayer layer;
    readonly TensorShape output;
    readonly long chunkRows;

    public CpuConvolution(Conv2DLayer layer, TensorShape input)
    {
        this.layer = layer;
        output = layer.OutputShape(input);
        long columnValues = (long)input[0] * layer.KernelSize.Height * layer.KernelSize.Width * output[1] * output[2];
        chunkRows = Math.Max(1, MaxColumnValues / columnValues);
    }

    /// <remarks>
    /// Values in bfloat16 are multiplied in float32, and the result is rounded. Otherwise libtorch would sum a kernel's
    /// gradient over the rows in bfloat16.
    /// </remarks>
    public Tensor Apply(Tensor x, Tensor kernel, Tensor? bias, long[] padding)
    {
        Tensor wide = x.to(ScalarType.Float32), wideKernel = kernel.to(ScalarType.Float32);
        Tensor? wideBias = bias?.to(ScalarType.Float32);
        Tensor y = x.shape[0] <= chunkRows
            ? Product(wide, wideKernel, wideBias, padding)
            : torch.cat([.. wide.split(chunkRows).Select(rows => Product(rows, wideKernel, wideBias, padding))]);
        return y.to(x.dtype);
    }

    /// <remarks>
    /// The four numbers must be of type <c>int</c>. TorchSharp makes a scalar of each <c>long</c> and does not keep it
    /// alive (see <see cref="Scalars"/>).
    /// </remarks>
    Tensor Product(Tensor x, Tensor kernel, Tensor? bias, long[] padding) => layer.Groups == 1 && layer.Dilation == 1
        ? (Tensor)unit.invoke(
            "convolve", x, kernel, bias!, layer.Stride.Height, layer.Stride.Width, (int)padding[0], (int)padding[1])
        : Unfolded(x, kernel, bias, padding);

    Tensor Unfolded(Tensor x, Tensor kernel, Tensor? bias, long[] padding)
    {
        (Size2D size, Size2D dilation, Size2D stride) = (layer.KernelSize, layer.Dilation, layer.Stride);
        Tensor columns = F.unfold(
            x, (size.Height, size.Width), (dilation.Height, dilation.Width), (padding[0], padding[1]),
            (stride.Height, stride.Width));
        long rows = x.shape[0], places = columns.shape[2], groups = layer.Groups;
        Tensor y = kernel.reshape(1, groups, layer.Filters / groups, -1)
            .matmul(columns.reshape(rows, groups, -1, places))
            .reshape(rows, layer.Filters, output[1], output[2]);
        return bias is null ? y : y.add(bias.reshape(1, -1, 1, 1), Scalars.One);
    }
}
