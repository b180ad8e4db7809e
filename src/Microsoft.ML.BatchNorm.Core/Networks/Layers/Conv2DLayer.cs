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

    internal override Stage CreateStage(StageContext context) => new Conv2DStage(context, this);

    internal override ServingValue CreateServing(ServingContext context)
    {
        NetworkNode node = context.Node;
        return ServingValue.OfImage(
            node.Output, context.Steps.ChannelsLast(context.Input),
            new FoldableProduct(context.State!, Filters, (kernel, bias, activation) =>
            {
                int seen = kernel.Length / Filters;
                var product = new PackedProduct(ChannelsLast(kernel, node.Input[0], seen), seen, bias, activation);
                return new ConvolutionStep(product, Window, node.Input, node.Output);
            }));
    }

    /// <summary>From <c>[filters, channels, height, width]</c> to <c>[filters, height, width, channels]</c>.</summary>
    static float[] ChannelsLast(double[] kernel, int channels, int seen)
    {
        float[] last = new float[kernel.Length];
        int area = seen / channels;
        for (int i = 0; i < last.Length; i++)
        {
            int filter = i / seen, place = i % seen / channels, channel = i % channels;
            last[i] = (float)kernel[filter * seen + channel * area + place];
        }
        return last;
    }
}

/// <summary>
/// A convolution in a training session: the kernel times the matrix of what its window shows
/// (<see cref="WindowColumns"/>), some places at a time. A window of one element that moves by one shows the image
/// itself.
/// </summary>
sealed unsafe class Conv2DStage : Stage
{
    /// <summary>The places of a product: the columns that its kernel takes at once.</summary>
    const int PanelPlaces = PackedMatrix.PanelColumns;

    /// <summary>The most ranges of rows whose gradients of the kernel are summed apart, for as many threads.</summary>
    const int MaxParts = 32;

    /// <summary>The most floats for them, beyond which there are fewer parts.</summary>
    const int PartialRoom = 1 << 24;

    /// <summary>Floats that one item merges.</summary>
    const int MergeLength = 1 << 13;

    readonly ImageWindows windows;
    readonly int filters, places, seen;
    readonly bool isPointwise;
    readonly KernelParameter kernel;
    readonly Parameter? bias;

    /// <summary>The gradients of each part, of the kernel and of the bias.</summary>
    readonly AlignedMemory<float> partials;
    readonly AlignedMemory<double> partialBiases;

    public Conv2DStage(StageContext context, Conv2DLayer layer)
        : base(context, new RowBuffer(context.Node.Output.Size))
    {
        windows = new ImageWindows(Node.Input, layer.Window);
        (filters, places, seen) = (layer.Filters, windows.Places, windows.Seen);
        isPointwise = layer.Window == new Window2D(1, 1, 0);
        kernel = new KernelParameter(Node, Tensor("kernel")!, seen, filters);
        bias = Tensor("bias") is { } spec ? new Parameter(Node, spec) : null;
        Parameters = bias is null ? [kernel] : [kernel, bias];
        partials = new AlignedMemory<float>(layer.Trainable ? (long)Parts * kernel.Room : 0);
        partialBiases = new AlignedMemory<double>(layer.Trainable ? (long)Parts * filters : 0);
        Step.Work.Reserve(PaddedRoom + ColumnsRoom + GradientRoom);
    }

    public override IReadOnlyList<Parameter> Parameters { get; }

    int PaddedRoom => isPointwise
        ? 0
        : Vectors.RoundUp(checked(windows.Channels * windows.PaddedChannel + windows.Slack));

    int ColumnsRoom => WindowColumns.Room(seen, Math.Min(places, WindowColumns.MaxPlaces));

    int GradientRoom => checked(Vectors.RoundUp(filters) * WindowColumns.MaxPlaces);

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(isPointwise ? ConvolvePoints : Convolve)];

    void Convolve(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        float* padded = work.Start, columns = padded + PaddedRoom;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* y = Output.Row(row);
            BeginWithBias(y);
            windows.Pad(Input.Row(row), windows.Channels, padded, 0);
            for (int first = 0; first < places; first += PanelPlaces)
            {
                int count = Math.Min(PanelPlaces, places - first);
                WindowColumns.Gather(windows, padded, first, count, columns);
                Multiply(MatrixPanels.OfPacked(columns, seen, count), y + first);
            }
        }
    }

    void ConvolvePoints(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        int whole = places / Vectors.Floats * Vectors.Floats, rest = places - whole;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* x = Input.Row(row), y = Output.Row(row);
            BeginWithBias(y);
            if (whole > 0)
                Multiply(MatrixPanels.OfRows(x, places, seen, whole), y);
            if (rest == 0)
                continue;
            MatrixPacking.Rows(x + whole, places, seen, rest, work.Start);
            Multiply(MatrixPanels.OfPacked(work.Start, seen, rest), y + whole);
        }
    }

    void BeginWithBias(float* y)
    {
        for (int filter = 0; filter < filters && bias is not null; filter++)
            new Span<float>(y + (nint)filter * places, places).Fill(bias.Value[filter]);
    }

    /// <summary>The kernel times the matrix of some places, to the same places of the output.</summary>
    void Multiply(in MatrixPanels columns, float* y)
    {
        for (int panel = 0; panel < kernel.Panels; panel++)
        {
            MatrixProduct.MultiplyTransposed(
                kernel.Value + kernel.Start(panel), kernel.WidthOf(panel), kernel.UnitsOf(panel), columns,
                y + (nint)panel * PackedMatrix.PanelColumns * places, places, accumulate: bias is not null);
        }
    }

    int Parts => Math.Clamp(PartialRoom / kernel.Room, 1, MaxParts);

    /// <summary>The parts that have rows of the batch at hand.</summary>
    int UsedParts => Math.Min(Parts, Step.Rows);

    public override IEnumerable<Pass> Backward()
    {
        if (InputGradient is not null)
            yield return Pass.OnRows(isPointwise ? PointsBack : ConvolveBack);
        if (kernel.IsTrained)
            yield return Pass.OnItems(Parts, SumPart);
    }

    public override IEnumerable<Pass> Complete() =>
        kernel.IsTrained ? [Pass.OnItems((kernel.Room + MergeLength - 1) / MergeLength, Merge)] : [];

    /// <summary>The kernel's transpose times the output's gradient, added to where the window saw it.</summary>
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

    /// <summary>The gradients of kernel and bias by a part of the rows.</summary>
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
            if (!isPointwise)
                windows.Pad(x, windows.Channels, padded, 0);
            for (int place = 0; place < places; place += WindowColumns.MaxPlaces)
            {
                int count = Math.Min(WindowColumns.MaxPlaces, places - place);
                if (isPointwise)
                {
                    AddProduct(x + place, places, dy + place, count, packed, target);
                    continue;
                }
                WindowColumns.Gather(windows, padded, place, count, columns);
                AddProduct(columns, WindowColumns.Stride(count), dy + place, count, packed, target);
            }
        }
    }

    /// <summary>Adds what some places add to the kernel's gradient.</summary>
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

    /// <summary>Merges a range of the parts' gradients; the first also the bias's.</summary>
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

/// <summary>
/// A convolution in a model, as a product: what the window sees at each place,
/// <c>[places, height × width × channels]</c>, times the kernel. A window of one element at every place is the product
/// with the image itself.
/// </summary>
sealed unsafe class ConvolutionStep(PackedProduct product, Window2D window, TensorShape image, TensorShape output)
    : ServingStep(image.Size, output.Size)
{
    /// <summary>What the windows of a block of places see stays in the second cache.</summary>
    const int BlockElements = 1 << 15;

    readonly int channels = image[0], height = image[1], width = image[2], filters = output[0];
    readonly int places = output[1] * output[2], placesPerLine = output[2];
    readonly int seen = window.Size.Height * window.Size.Width * image[0];
    readonly bool isPointwise = window == new Window2D(1, 1, 0);

    readonly int blockPlaces = Math.Clamp(
        BlockElements / (window.Size.Height * window.Size.Width * image[0]), 1, output[1] * output[2]);

    public override int Work => isPointwise ? 0 : blockPlaces * seen;

    public override void Run(float* x, float* y, int rows, float* work)
    {
        if (isPointwise)
        {
            product.Run(x, y, rows * places);
            return;
        }
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
        {
            for (int first = 0; first < places; first += blockPlaces)
            {
                int count = Math.Min(blockPlaces, places - first);
                for (int place = 0; place < count; place++)
                    Look(x, first + place, work + (nint)place * seen);
                product.Run(work, y + (nint)first * filters, count);
            }
        }
    }

    /// <summary>Copies what the window sees at a place, line after line; zeros beside the image.</summary>
    void Look(float* x, int place, float* target)
    {
        int top = place / placesPerLine * window.Stride.Height - window.Padding.Height;
        int left = place % placesPerLine * window.Stride.Width - window.Padding.Width;
        int from = Math.Max(left, 0), to = Math.Min(left + window.Size.Width, width);
        int line = window.Size.Width * channels;
        for (int i = top; i < top + window.Size.Height; i++, target += line)
        {
            var all = new Span<float>(target, line);
            if (i < 0 || i >= height || from >= to)
            {
                all.Clear();
                continue;
            }
            all[..((from - left) * channels)].Clear();
            var inside = new ReadOnlySpan<float>(x + ((nint)i * width + from) * channels, (to - from) * channels);
            inside.CopyTo(all[((from - left) * channels)..]);
            all[((to - left) * channels)..].Clear();
        }
    }
}
