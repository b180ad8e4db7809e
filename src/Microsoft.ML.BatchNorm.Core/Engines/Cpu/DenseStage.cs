using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm;

/// <summary><see cref="DenseLayer"/> on the threads of a session.</summary>
sealed unsafe class DenseStage : Stage
{
    readonly Step step;
    readonly int inputs, units;
    readonly KernelParameter kernel;
    readonly Parameter? bias;

    MatrixPanels weights;
    PackedMatrix? transposed;

    public DenseStage(NetworkNode node, DenseLayer layer, RowBuffer input, Step step)
        : base(node, input, new RowBuffer(layer.Units))
    {
        this.step = step;
        (inputs, units) = (node.Input.Size, layer.Units);
        kernel = new KernelParameter(node, Tensor("kernel")!, inputs, units);
        bias = Tensor("bias") is { } spec ? new Parameter(node, spec) : null;
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

    /// <summary>Packs a panel of inputs: block after block of 32 units.</summary>
    void Transpose(int panel)
    {
        int columns = transposed!.ColumnsOf(panel), first = panel * PackedMatrix.PanelColumns;
        float* target = transposed.Panel(panel);
        int targetWidth = Vectors.RoundUp(columns);
        for (int block = 0; block < kernel.Panels; block++)
        {
            int width = kernel.WidthOf(block);
            MatrixPacking.Columns(
                kernel.Value + kernel.Start(block) + (nint)first * width, width, kernel.UnitsOf(block), columns,
                target + (nint)block * PackedMatrix.PanelColumns * targetWidth);
        }
    }

    /// <summary>The gradients of a panel of units.</summary>
    void FormGradient(int panel)
    {
        int first = panel * PackedMatrix.PanelColumns, width = kernel.WidthOf(panel);
        float* gradient = OutputGradient!.Row(0) + first, target = kernel.Gradient + kernel.Start(panel);
        if (bias is not null)
            PlaneKernels.SumColumns(gradient, OutputGradient.Stride, step.Rows, width, bias.Gradient + first);
        // What fills up the rows of the gradient is 0, as what fills up the kernel's must be.
        MatrixPanels columns = MatrixPanels.OfRows(gradient, OutputGradient.Stride, step.Rows, width);
        MatrixProduct.MultiplyTransposed(Input.Row(0), Input.Stride, inputs, columns, target, width);
        bool finite = Finite.All<float>(new(target, inputs * width));
        if (!finite || (bias is not null && !Finite.All<float>(new(bias.Gradient + first, width))))
            step.Fail();
    }
}
