using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Cross-correlation of an image <c>[channels, height, width]</c> with one kernel per filter, plus one bias per filter:
/// <c>Conv2D</c> in Keras and <c>Conv2d</c> in PyTorch, with groups and dilation.
/// </summary>
/// <param name="Filters">The number of output channels.</param>
/// <param name="KernelSize">Height and width of the kernel.</param>
/// <remarks>
/// The kernel has the shape <c>[Filters, channels / Groups, height, width]</c>, as in PyTorch and ONNX; Keras's is
/// <c>[height, width, channels / groups, filters]</c>. With as many groups as channels it is a depthwise convolution.
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
    /// <exception cref="ArgumentOutOfRangeException">A side is negative.</exception>
    public Padding2D Padding { get; init => field = value.CheckNotNegative(nameof(Padding)); } = 0;

    /// <summary>The distance between the elements of the image that the kernel sees, positive. Default: 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is not positive.</exception>
    [JsonIgnore]
    public Size2D Dilation { get; init => field = value.CheckAtLeast(1, nameof(Dilation)); } = 1;

    /// <summary>
    /// Into how many groups channels and filters are divided, each seeing only its own; a divisor of both. Default: 1.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    [JsonIgnore]
    public int Groups { get; init => field = Check.Positive(value, nameof(Groups)); } = 1;

    // Files of the first version have neither.
    [JsonInclude]
    [JsonPropertyName("dilation")]
    internal Size2D? SavedDilation { get => Dilation == 1 ? null : Dilation; init => Dilation = value ?? 1; }

    [JsonInclude]
    [JsonPropertyName("groups")]
    internal int? SavedGroups { get => Groups == 1 ? null : Groups; init => Groups = value ?? 1; }

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

    internal Window2D Window => new(KernelSize, Stride, Padding, Dilation);

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input.Rank != 3 || Window.Places(input) is not { } places)
            throw Misfit(input, Window.Needs);
        if (input[0] % Groups != 0 || Filters % Groups != 0)
            throw Misfit(
                input, $"a number of channels and of filters ({Filters}) that are multiples of its {Groups} groups");
        CheckKernel(input, Filters, input[0] / Groups, KernelSize.Height, KernelSize.Width);
        CheckRow(input, "padded input", Window.Padded(input));
        CheckRow(input, "output", Filters, places.Height, places.Width);
        return new TensorShape(Filters, places.Height, places.Width);
    }

    /// <inheritdoc/>
    public override IEnumerable<TensorSpec> Tensors(TensorShape input)
    {
        long area = (long)KernelSize.Height * KernelSize.Width;
        int seen = Check.NotNull(input)[0] / Groups;
        return KernelAndBias(
            new TensorShape(Filters, seen, KernelSize.Height, KernelSize.Width), KernelInitializer,
            UseBias ? BiasInitializer : null, seen * area, Filters * area / Groups);
    }

    internal override Stage CreateStage(StageContext context) => new Conv2DStage(context, this);

    internal override ServingValue CreateServing(ServingContext context)
    {
        NetworkNode node = context.Node;
        return new ServingValue(
            context.Operations.Complete(context.Input),
            new FoldableProduct(
                context.State!, Filters,
                product => new ConvolutionOperation(product, ConvolutionOf(node), node.Input.Size, node.Output.Size)));
    }

    internal ImageConvolution ConvolutionOf(NetworkNode node) =>
        ImageConvolution.Of(node.Input, Window, Filters, Groups);
}

/// <summary>A convolution in a training session.</summary>
sealed unsafe class Conv2DStage : Stage
{
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
    readonly int filters, places;
    readonly KernelParameter kernel;
    readonly Parameter? bias;

    /// <summary>Each part's gradients of kernel and bias.</summary>
    readonly AlignedMemory<float> partials;
    readonly AlignedMemory<double> partialBiases;

    MatrixPanels weights;

    public Conv2DStage(StageContext context, Conv2DLayer layer)
        : base(context, new RowBuffer(context.Node.Output.Size))
    {
        convolution = layer.ConvolutionOf(Node);
        (filters, places) = (layer.Filters, convolution.Windows.Places);
        kernel = new KernelParameter(Node, Tensor("kernel")!, convolution.Seen, filters);
        bias = Tensor("bias") is { } spec ? new Parameter(Node, spec) : null;
        Parameters = bias is null ? [kernel] : [kernel, bias];
        partials = new AlignedMemory<float>(layer.Trainable ? (long)Parts * kernel.Room : 0);
        partialBiases = new AlignedMemory<double>(layer.Trainable ? (long)Parts * filters : 0);
        Step.Work.Reserve(convolution.TrainingWork);
    }

    public override IReadOnlyList<Parameter> Parameters { get; }

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override void Load(LayerState state)
    {
        base.Load(state);
        weights = MatrixPanels.OfPacked(kernel.Value, convolution.Seen, filters);
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
            yield return Pass.OnRows(ConvolveBack);
        if (kernel.IsTrained)
            yield return Pass.OnItems(Parts, SumPart);
    }

    public override IEnumerable<Pass> Complete() =>
        kernel.IsTrained ? [Pass.OnItems((kernel.Room + MergeLength - 1) / MergeLength, Merge)] : [];

    void ConvolveBack(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
            convolution.RunBack(OutputGradient!.Row(row), weights, InputGradient!.Row(row), work.Start);
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
        MatrixPanels gradient = MatrixPanels.OfPacked(target, convolution.Seen, filters);
        using WorkMemory.Lease work = Step.Work.Take();
        for (int row = first; row < end; row++)
        {
            float* dy = OutputGradient!.Row(row);
            for (int filter = 0; filter < filters && bias is not null; filter++)
                targetBias[filter] += PlaneKernels.Sum(dy + (nint)filter * places, places);
            convolution.AddKernelGradient(Input.Row(row), dy, gradient, work.Start);
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
sealed unsafe class ConvolutionOperation(
    PackedProduct product, ImageConvolution convolution, int inputs, int outputs) : ServingOperation(inputs, outputs)
{
    public override int Work => convolution.Work;

    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
            product.Convolve(convolution, x, y, work);
    }
}
