namespace Microsoft.ML.BatchNorm;

/// <summary>
/// <c>y = x·kernelᵀ + bias</c>: Keras's <c>Dense</c> without its activation, PyTorch's <c>Linear</c>.
/// </summary>
/// <param name="Units">The number of outputs.</param>
/// <remarks>
/// The kernel has the shape <c>[Units, inputs]</c>, as in PyTorch and ONNX; Keras's is its transpose. The input is
/// <c>[inputs]</c>.
/// </remarks>
public sealed record DenseLayer(int Units) : Layer
{
    /// <summary>The number of outputs, positive.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int Units { get; init => field = Check.Positive(value, nameof(Units)); } =
        Check.Positive(Units, nameof(Units));

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
    public override string Kind => "Dense";

    internal override string DefaultName => "dense";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input.Rank != 1)
            throw Misfit(input, "[inputs]; put a Flatten before it");
        CheckKernel(input, Units, input[0]);
        return new TensorShape(Units);
    }

    /// <inheritdoc/>
    public override IEnumerable<TensorSpec> Tensors(TensorShape input) => KernelAndBias(
        new TensorShape(Units, Check.NotNull(input)[0]), KernelInitializer, UseBias ? BiasInitializer : null, input[0],
        Units);
}
