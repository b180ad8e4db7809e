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
sealed class Conv2DModule(NetworkNode node, Conv2DLayer layer, LayerState state, bool isMixed, torch.Device device)
    : KernelModule(node, state, isMixed)
{
    readonly long[] stride = [layer.Stride.Height, layer.Stride.Width];
    readonly long[] padding = [layer.Padding.Height, layer.Padding.Width];
    readonly MatrixConvolution? onCpu = device.type == DeviceType.CPU ? new(layer, node.Input) : null;

    protected override Tensor Product(Tensor x, Tensor kernel, Tensor? bias) =>
        onCpu?.Apply(x, kernel, bias) ?? F.conv2d(x, kernel, bias, stride, padding);
}

/// <summary>
/// A convolution on the CPU by libtorch's own matrix products: <c>thnn_conv2d</c>. TorchScript can call it, and
/// TorchSharp cannot.
/// </summary>
/// <remarks>
/// On the CPU, <c>conv2d</c> uses oneDNN. The oneDNN in libtorch 2.10 reads memory that it has not written if a number
/// of channels is not a multiple of 16. If all are multiples of 16, the gradients of the input are wrong for some
/// strides. Both were seen on an AMD EPYC of family 26, with AVX2 and with AVX-512, in float32 and in bfloat16.
/// </remarks>
sealed class MatrixConvolution
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
    readonly long chunkRows;

    public MatrixConvolution(Conv2DLayer layer, TensorShape input)
    {
        this.layer = layer;
        TensorShape output = layer.OutputShape(input);
        long columnValues = (long)input[0] * layer.KernelSize.Height * layer.KernelSize.Width * output[1] * output[2];
        chunkRows = Math.Max(1, MaxColumnValues / columnValues);
    }

    /// <remarks>
    /// Values in bfloat16 are multiplied in float32, and the result is rounded. Otherwise libtorch would sum a kernel's
    /// gradient over the rows in bfloat16.
    /// </remarks>
    public Tensor Apply(Tensor x, Tensor kernel, Tensor? bias)
    {
        Tensor wide = x.to(ScalarType.Float32), wideKernel = kernel.to(ScalarType.Float32);
        Tensor? wideBias = bias?.to(ScalarType.Float32);
        Tensor y = x.shape[0] <= chunkRows
            ? Product(wide, wideKernel, wideBias)
            : torch.cat([.. wide.split(chunkRows).Select(rows => Product(rows, wideKernel, wideBias))]);
        return y.to(x.dtype);
    }

    /// <remarks>
    /// The four numbers must be of type <c>int</c>. TorchSharp makes a scalar of each <c>long</c> and does not keep it
    /// alive (see <see cref="Scalars"/>).
    /// </remarks>
    Tensor Product(Tensor x, Tensor kernel, Tensor? bias) => (Tensor)unit.invoke(
        "convolve", x, kernel, bias!, layer.Stride.Height, layer.Stride.Width, layer.Padding.Height,
        layer.Padding.Width);
}
