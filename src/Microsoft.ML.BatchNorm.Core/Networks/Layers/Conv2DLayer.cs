namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Cross-correlation of an image <c>[channels, height, width]</c> with one kernel a filter, plus a bias a filter:
/// Keras's and PyTorch's <c>Conv2D</c>, dilation 1, one group.
/// </summary>
/// <param name="Filters">The number of output channels.</param>
/// <param name="KernelSize">Height and width of the kernel.</param>
/// <remarks>
/// The kernel has the shape <c>[Filters, channels, height, width]</c>, as in PyTorch and ONNX; Keras's is
/// <c>[height, width, channels, filters]</c>.
/// </remarks>
public sealed record Conv2DLayer(int Filters, Size2D KernelSize) : Layer
{
    /// <summary>The number of output channels, positive.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Filters { get; init => field = Check.Positive(value, nameof(Filters)); } =
        Check.Positive(Filters, nameof(Filters));

    /// <summary>Height and width of the kernel, positive.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of them is not positive.</exception>
    public Size2D KernelSize { get; init => field = value.CheckAtLeast(1, nameof(KernelSize)); } =
        KernelSize.CheckAtLeast(1, nameof(KernelSize));

    /// <summary>How far the kernel moves at a time, positive. Default: 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is not positive.</exception>
    public Size2D Stride { get; init => field = value.CheckAtLeast(1, nameof(Stride)); } = 1;

    /// <summary>Rows and columns of zeros on each side of the image. Default: 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is negative.</exception>
    public Size2D Padding { get; init => field = value.CheckAtLeast(0, nameof(Padding)); } = 0;

    /// <summary>Whether a bias is added. Default: true.</summary>
    public bool UseBias { get; init; } = true;

    /// <summary>The kernel's first values. Default: Glorot uniform, as in Keras.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public KernelInitializer KernelInitializer { get; init => field = Check.NotNull(value); } =
        KernelInitializer.GlorotUniform;

    /// <summary>The bias's first values. Default: zeros.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public KernelInitializer BiasInitializer { get; init => field = Check.NotNull(value); } =
        KernelInitializer.Zeros;

    /// <inheritdoc/>
    public override string Kind => "Conv2D";

    internal override string DefaultName => "conv2d";

    internal Window2D Window => new(KernelSize, Stride, Padding);

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input.Rank != 3 || Window.Places(input) is not { } places)
            throw Misfit(input, Window.Needs);
        CheckKernel(input, Filters, input[0], KernelSize.Height, KernelSize.Width);
        CheckRow(input, "padded input", Window.Padded(input));
        CheckRow(input, "output", Filters, places.Height, places.Width);
        return new TensorShape(Filters, places.Height, places.Width);
    }

    /// <inheritdoc/>
    public override IEnumerable<TensorSpec> Tensors(TensorShape input)
    {
        long area = (long)KernelSize.Height * KernelSize.Width;
        return KernelAndBias(
            new TensorShape(Filters, Check.NotNull(input)[0], KernelSize.Height, KernelSize.Width), KernelInitializer,
            UseBias ? BiasInitializer : null, input[0] * area, Filters * area);
    }
}
