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

    internal override Stage CreateStage(StageContext context) => new DenseStage(context, Units);

    internal override ServingValue CreateServing(ServingContext context) => new(
        context.Operations.Complete(context.Input),
        new FoldableProduct(context.State!, Units, product => new DenseOperation(product)));
}

/// <summary>A dense layer in a training session.</summary>
sealed unsafe class DenseStage : Stage
{
    readonly int inputs, units;
    readonly KernelParameter kernel;
    readonly Parameter? bias;

    MatrixPanels weights;
    PackedMatrix? transposed;

    public DenseStage(StageContext context, int units)
        : base(context, new RowBuffer(units))
    {
        (inputs, this.units) = (Node.Input.Size, units);
        kernel = new KernelParameter(Node, Tensor("kernel")!, inputs, units);
        bias = Tensor("bias") is { } spec ? new Parameter(Node, spec) : null;
        Parameters = bias is null ? [kernel] : [kernel, bias];
    }

    public override IReadOnlyList<Parameter> Parameters { get; }

    public override void Load(LayerState state)
    {
        base.Load(state);
        weights = MatrixPanels.OfPacked(kernel.Value, inputs, units);
    }

    public override RowBuffer MakeInputGradient() => new(inputs);

    public override IEnumerable<Pass> Prepare()
    {
        if (InputGradient is null)
            return [];
        transposed = new PackedMatrix(units, inputs);
        return [Pass.OnItems(transposed.Panels, Transpose)];
    }

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Multiply)];

    public override IEnumerable<Pass> Backward()
    {
        if (InputGradient is not null)
            yield return Pass.OnRows(MultiplyBack);
        if (kernel.IsTrained)
            yield return Pass.OnItems(kernel.Panels, FormGradient);
    }

    void Multiply(RowBlock block)
    {
        float* x = Input.Row(block.First), y = Output.Row(block.First);
        if (bias is null)
            MatrixProduct.Multiply(x, Input.Stride, block.Rows, weights, y, Output.Stride);
        else
            MatrixProduct.Multiply(x, Input.Stride, block.Rows, weights, y, Output.Stride, bias.Value);
    }

    void MultiplyBack(RowBlock block) =>
        MatrixProduct.Multiply(
            OutputGradient!.Row(block.First), OutputGradient.Stride, block.Rows, transposed!,
            InputGradient!.Row(block.First), InputGradient.Stride);

    /// <summary>Packs one panel of the kernel's transpose, 32 units at a time.</summary>
    void Transpose(int panel)
    {
        int columns = transposed!.ColumnsOf(panel), first = panel * PackedMatrix.PanelColumns;
        float* target = transposed.Panel(panel);
        int targetWidth = Simd.RoundUp(columns);
        for (int block = 0; block < kernel.Panels; block++)
        {
            int width = kernel.WidthOf(block);
            MatrixPacking.Columns(
                kernel.Value + kernel.Start(block) + (nint)first * width, width, kernel.UnitsOf(block), columns,
                target + (nint)block * PackedMatrix.PanelColumns * targetWidth);
        }
    }

    /// <summary>Computes the gradients of kernel and bias for one panel of units.</summary>
    void FormGradient(int panel)
    {
        int first = panel * PackedMatrix.PanelColumns, width = kernel.WidthOf(panel);
        float* gradient = OutputGradient!.Row(0) + first, target = kernel.Gradient + kernel.Start(panel);
        if (bias is not null)
            PlaneKernels.SumColumns(gradient, OutputGradient.Stride, Step.Rows, width, bias.Gradient + first);
        // The padding of the output's gradient is zero, so that of the kernel's gradient becomes zero, as it must.
        MatrixPanels columns = MatrixPanels.OfRows(gradient, OutputGradient.Stride, Step.Rows, width);
        MatrixProduct.MultiplyTransposed(Input.Row(0), Input.Stride, inputs, columns, target, width);
        bool finite = Finite.All<float>(new(target, inputs * width));
        if (!finite || (bias is not null && !Finite.All<float>(new(bias.Gradient + first, width))))
            Step.Fail();
    }
}

/// <summary>A dense layer in a model.</summary>
sealed unsafe class DenseOperation(PackedProduct product) : ServingOperation(product.Inputs, product.Outputs)
{
    public override void Run(float* x, float* y, int rows, float* work) => product.Run(x, y, rows);
}
