namespace Microsoft.ML.BatchNorm.TorchSharp.Layers;

/// <summary>
/// A convolution on the CPU by libtorch's own matrix products: <c>thnn_conv2d</c>, which TorchScript has a name for and
/// TorchSharp has not.
/// </summary>
/// <remarks>
/// <c>conv2d</c> takes oneDNN's there. The one in libtorch 2.10 reads memory that it has not written where a number of
/// channels is no multiple of 16, and gives wrong gradients of the input for some strides where it is: seen on an AMD
/// EPYC of family 26, with AVX2 and with AVX-512, in float32 and in bfloat16.
/// </remarks>
sealed class MatrixConvolution
{
    /// <summary>Values that are gathered for one product; memory for much more of them is new each time.</summary>
    const int Columns = 1 << 20;

    // One for all layers, since libtorch does not give back all memory of a function that was compiled.
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
    /// What is bfloat16 is multiplied in float32, and rounded again: libtorch would add up a kernel's gradient over the
    /// rows in bfloat16.
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
    /// The four numbers stay <c>int</c>: TorchSharp makes a <c>Scalar</c> of a <c>long</c> and
    /// does not keep it alive, so that a garbage collection frees it before libtorch reads it.
    /// </remarks>
    Tensor Product(Tensor x, Tensor kernel, Tensor? bias) => (Tensor)unit.invoke(
        "convolve", x, kernel, bias!, layer.Stride.Height, layer.Stride.Width, layer.Padding.Height,
        layer.Padding.Width);
}
