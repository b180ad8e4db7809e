namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Cross-correlation of an image <c>[channels, height, width]</c> with one kernel per filter, plus one bias per filter:
/// <c>Conv2D</c> in Keras and <c>Conv2d</c> in PyTorch, with dilation 1 and one group.
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
    /// <exception cref="ArgumentOutOfRangeException">One of the two is not positive.</exception>
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

    internal override Stage CreateStage(StageContext context) => new Conv2DStage(context, this);

    internal override ServingValue CreateServing(ServingContext context)
    {
        NetworkNode node = context.Node;
        return new ServingValue(
            context.Operations.Complete(context.Input),
            new FoldableProduct(
                context.State!, Filters,
                product => new ConvolutionOperation(product, Window, node.Input, node.Output)));
    }
}

/// <summary>A convolution in a training session.</summary>
sealed unsafe class Conv2DStage : Stage
{
    /// <summary>The output positions in one product: the columns that the matrix kernel computes at once.</summary>
    const int PanelPlaces = PackedMatrix.PanelColumns;

    /// <summary>
    /// The most parts into which the rows of a batch are split. Each part sums its gradients of the kernel separately,
    /// so that as many threads can work.
    /// </summary>
    const int MaxParts = 32;

    /// <summary>The most floats for the gradients of all parts. A large kernel therefore has fewer parts.</summary>
    const int PartialRoom = 1 << 24;

    /// <summary>The floats of the kernel's gradient that one item merges.</summary>
    const int MergeLength = 1 << 13;

    readonly ImageConvolution convolution;
    readonly ImageWindows windows;
    readonly int filters, places, seen;
    readonly KernelParameter kernel;
    readonly Parameter? bias;

    /// <summary>Each part's gradients of kernel and bias.</summary>
    readonly AlignedMemory<float> partials;
    readonly AlignedMemory<double> partialBiases;

    MatrixPanels weights;

    public Conv2DStage(StageContext context, Conv2DLayer layer)
        : base(context, new RowBuffer(context.Node.Output.Size))
    {
        convolution = new ImageConvolution(Node.Input, layer.Window, layer.Filters);
        windows = convolution.Windows;
        (filters, places, seen) = (layer.Filters, windows.Places, windows.Seen);
        kernel = new KernelParameter(Node, Tensor("kernel")!, seen, filters);
        bias = Tensor("bias") is { } spec ? new Parameter(Node, spec) : null;
        Parameters = bias is null ? [kernel] : [kernel, bias];
        partials = new AlignedMemory<float>(layer.Trainable ? (long)Parts * kernel.Room : 0);
        partialBiases = new AlignedMemory<double>(layer.Trainable ? (long)Parts * filters : 0);
        Step.Work.Reserve((long)PaddedRoom + ColumnsRoom + GradientRoom);
    }

    public override IReadOnlyList<Parameter> Parameters { get; }

    int PaddedRoom => convolution.PaddedRoom;

    int ColumnsRoom => WindowColumns.Room(seen, Math.Min(places, WindowColumns.MaxPlaces));

    int GradientRoom => checked(Simd.RoundUp(filters) * WindowColumns.MaxPlaces);

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override void Load(LayerState state)
    {
        base.Load(state);
        weights = MatrixPanels.OfPacked(kernel.Value, seen, filters);
    }

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Convolve)];

    void Convolve(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            convolution.Run(
                Input.Row(row), weights, bias is null ? null : bias.Value, Output.Row(row), work.Start);
        }
    }

    int Parts => Math.Clamp(PartialRoom / kernel.Room, 1, MaxParts);

    /// <summary>The number of parts that have rows of the current batch.</summary>
    int UsedParts => Math.Min(Parts, Step.Rows);

    public override IEnumerable<Pass> Backward()
    {
        if (InputGradient is not null)
            yield return Pass.OnRows(convolution.IsPointwise ? PointsBack : ConvolveBack);
        if (kernel.IsTrained)
            yield return Pass.OnItems(Parts, SumPart);
    }

    public override IEnumerable<Pass> Complete() =>
        kernel.IsTrained ? [Pass.OnItems((kernel.Room + MergeLength - 1) / MergeLength, Merge)] : [];

    /// <summary>
    /// Multiplies the kernel's transpose by the output's gradient, and adds the products to the gradients of the input
    /// values that the windows cover.
    /// </summary>
    void ConvolveBack(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        float* padded = work.Start, columns = padded + PaddedRoom, packed = columns + ColumnsRoom;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* dy = OutputGradient!.Row(row);
            new Span<float>(padded, PaddedRoom).Clear();
            for (int first = 0; first < places; first += PanelPlaces)
            {
                int count = Math.Min(PanelPlaces, places - first);
                MatrixPacking.Rows(dy + first, places, filters, count, packed);
                MultiplyBack(packed, count, columns, WindowColumns.Stride(count));
                WindowColumns.Scatter(windows, columns, first, count, padded);
            }
            windows.Unpad(padded, windows.Channels, InputGradient!.Row(row));
        }
    }

    void PointsBack(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int first = 0; first < places; first += PanelPlaces)
            {
                int count = Math.Min(PanelPlaces, places - first);
                MatrixPacking.Rows(OutputGradient!.Row(row) + first, places, filters, count, work.Start);
                MultiplyBack(work.Start, count, InputGradient!.Row(row) + first, places);
            }
        }
    }

    void MultiplyBack(float* packed, int count, float* target, nint stride)
    {
        int width = WindowColumns.Stride(count);
        for (int panel = 0; panel < kernel.Panels; panel++)
        {
            MatrixPanels gradients = MatrixPanels.OfPacked(
                packed + (nint)panel * PackedMatrix.PanelColumns * width, kernel.UnitsOf(panel), count);
            MatrixProduct.Multiply(
                kernel.Value + kernel.Start(panel), kernel.WidthOf(panel), seen, gradients, target, stride,
                accumulate: panel > 0);
        }
    }

    /// <summary>Sums the gradients of kernel and bias over a part of the rows.</summary>
    void SumPart(int part)
    {
        if (part >= UsedParts)
            return;
        int first = (int)((long)Step.Rows * part / UsedParts), end = (int)((long)Step.Rows * (part + 1) / UsedParts);
        float* target = partials.Start + (nint)part * kernel.Room;
        new Span<float>(target, kernel.Room).Clear();
        double* targetBias = partialBiases.Start + (nint)part * filters;
        new Span<double>(targetBias, filters).Clear();
        using WorkMemory.Lease work = Step.Work.Take();
        float* padded = work.Start, columns = padded + PaddedRoom, packed = columns + ColumnsRoom;
        for (int row = first; row < end; row++)
        {
            float* x = Input.Row(row), dy = OutputGradient!.Row(row);
            for (int filter = 0; filter < filters && bias is not null; filter++)
                targetBias[filter] += PlaneKernels.Sum(dy + (nint)filter * places, places);
            if (!convolution.IsPointwise)
                windows.Pad(x, windows.Channels, padded, 0);
            for (int place = 0; place < places; place += WindowColumns.MaxPlaces)
            {
                int count = Math.Min(WindowColumns.MaxPlaces, places - place);
                if (convolution.IsPointwise)
                {
                    AddProduct(x + place, places, dy + place, count, packed, target);
                    continue;
                }
                WindowColumns.Gather(windows, padded, place, count, columns);
                AddProduct(columns, WindowColumns.Stride(count), dy + place, count, packed, target);
            }
        }
    }

    /// <summary>Adds the kernel's gradient at some output positions.</summary>
    void AddProduct(float* columns, nint stride, float* dy, int count, float* packed, float* target)
    {
        for (int panel = 0; panel < kernel.Panels; panel++)
        {
            int units = kernel.UnitsOf(panel);
            MatrixPacking.Columns(dy + (nint)panel * PackedMatrix.PanelColumns * places, places, count, units, packed);
            MatrixProduct.Multiply(
                columns, stride, seen, MatrixPanels.OfPacked(packed, count, units), target + kernel.Start(panel),
                kernel.WidthOf(panel), accumulate: true);
        }
    }

    /// <summary>Merges a range of the kernel's gradients of all parts; item 0 also merges those of the bias.</summary>
    void Merge(int item)
    {
        int first = item * MergeLength, length = Math.Min(MergeLength, kernel.Room - first);
        PlaneKernels.Merge(partials.Start + first, kernel.Room, UsedParts, kernel.Gradient + first, length);
        if (!Finite.All<float>(new(kernel.Gradient + first, length)))
            Step.Fail();
        if (item > 0 || bias is null)
            return;
        for (int filter = 0; filter < filters; filter++)
        {
            double sum = 0;
            for (int part = 0; part < UsedParts; part++)
                sum += partialBiases.Start[(nint)part * filters + filter];
            bias.Gradient[filter] = (float)sum;
        }
        if (!Finite.All<float>(new(bias.Gradient, bias.Room)))
            Step.Fail();
    }
}

/// <summary>A convolution in a model.</summary>
sealed unsafe class ConvolutionOperation(PackedProduct product, Window2D window, TensorShape image, TensorShape output)
    : ServingOperation(image.Size, output.Size)
{
    readonly ImageConvolution convolution = new(image, window, output[0]);

    public override int Work => convolution.Work;

    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
            product.Convolve(convolution, x, y, work);
    }
}
