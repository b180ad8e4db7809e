using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>How a pooling layer reduces a window of an image to one value.</summary>
public enum Pooling
{
    /// <summary>The greatest value of the window; padding never counts.</summary>
    Max,

    /// <summary>The mean of the window's values; by default padding counts as zeros, as in PyTorch.</summary>
    Average,
}

/// <summary>
/// The maximum or mean of each window of an image <c>[channels, height, width]</c>, for each channel.
/// </summary>
/// <param name="Function">Maximum or mean.</param>
/// <param name="PoolSize">Height and width of the window.</param>
public sealed record Pool2DLayer(Pooling Function, Size2D PoolSize) : Layer
{
    /// <summary>Maximum or mean.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not one of the enumeration.</exception>
    public Pooling Function { get; init => field = Check.Defined(value, nameof(Function)); } =
        Check.Defined(Function, nameof(Function));

    /// <summary>Height and width of the window, positive.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is not positive.</exception>
    public Size2D PoolSize { get; init => field = value.CheckAtLeast(1, nameof(PoolSize)); } =
        PoolSize.CheckAtLeast(1, nameof(PoolSize));

    /// <summary>How far the window moves at a time; null for the window's own size. Default: null.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is not positive.</exception>
    public Size2D? Stride { get; init => field = value?.CheckAtLeast(1, nameof(Stride)); }

    /// <summary>
    /// Rows and columns of padding on each side of the image, less than the window's size. Default: 0.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">A side is negative.</exception>
    public Padding2D Padding { get; init => field = value.CheckNotNegative(nameof(Padding)); } = 0;

    /// <summary>
    /// Whether a last window may reach beyond the padding, if it begins inside the image or the padding before it:
    /// PyTorch's and ONNX's <c>ceil_mode</c>. Default: false.
    /// </summary>
    [JsonIgnore]
    public bool CeilMode { get; init; }

    /// <summary>
    /// Whether the padding's zeros count in a mean: PyTorch's and ONNX's <c>count_include_pad</c>. Default: true, as in
    /// PyTorch; Keras counts none.
    /// </summary>
    [JsonIgnore]
    public bool CountIncludePad { get; init; } = true;

    // Files of the first version have neither.
    [JsonInclude]
    [JsonPropertyName("ceilMode")]
    internal bool? SavedCeilMode { get => CeilMode ? true : null; init => CeilMode = value ?? false; }

    [JsonInclude]
    [JsonPropertyName("countIncludePad")]
    internal bool? SavedCountIncludePad
    {
        get => CountIncludePad ? null : false;
        init => CountIncludePad = value ?? true;
    }

    /// <inheritdoc/>
    public override string Kind => Function == Pooling.Max ? "MaxPool2D" : "AveragePool2D";

    internal override string DefaultName => Function == Pooling.Max ? "max_pooling2d" : "average_pooling2d";

    internal Window2D Window => new(PoolSize, Stride ?? PoolSize, Padding, 1, CeilMode);

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (Math.Max(Padding.Top, Padding.Bottom) >= PoolSize.Height
            || Math.Max(Padding.Left, Padding.Right) >= PoolSize.Width)
            throw Misfit(input, $"a padding that is smaller than the window, not {Padding} for {PoolSize}");
        if (input.Rank != 3 || Window.Places(input) is not { } places)
            throw Misfit(input, Window.Needs);
        CheckRow(input, "padded input", Window.Padded(input));
        CheckRow(input, "output", input[0], places.Height, places.Width);
        return new TensorShape(input[0], places.Height, places.Width);
    }

    internal override Stage CreateStage(StageContext context) => Function == Pooling.Max
        ? new MaxPool2DStage(context, Window)
        : new AveragePool2DStage(context, this);

    internal override ServingValue CreateServing(ServingContext context) =>
        context.Operations.Add(new PoolOperation(this, context.Node.Input, context.Node.Output), context.Input);
}

/// <summary>
/// A <see cref="Pool2DLayer"/> that takes maxima, in a training session. If several values of a window are the
/// greatest, the first of them gets the gradient.
/// </summary>
sealed unsafe class MaxPool2DStage : Stage
{
    readonly ImageWindows windows;

    /// <summary>The index of each maximum in its channel of the input.</summary>
    AlignedMemory<int> indices = new(0);

    public MaxPool2DStage(StageContext context, Window2D window)
        : base(context, new RowBuffer(context.Node.Output.Size))
    {
        windows = new ImageWindows(Node.Input, window);
        Step.Work.Reserve(windows.Room(1));
    }

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override void Grow(int rows)
    {
        base.Grow(rows);
        if (indices.Length < (long)rows * Output.Width)
            indices = new AlignedMemory<int>((long)rows * Output.Width);
    }

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Pool)];

    public override IEnumerable<Pass> Backward() => InputGradient is null ? [] : [Pass.OnRows(GoBack)];

    void Pool(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int channel = 0; channel < windows.Channels; channel++)
            {
                windows.Pad(Input.Row(row) + (nint)channel * windows.Channel, 1, work.Start, float.NegativeInfinity);
                PoolKernels.Max(
                    windows, work.Start, Output.Row(row) + (nint)channel * windows.Places, IndicesOf(row, channel));
            }
        }
    }

    void GoBack(RowBlock block)
    {
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            float* dx = InputGradient!.Row(row), dy = OutputGradient!.Row(row);
            new Span<float>(dx, InputGradient.Width).Clear();
            for (int channel = 0; channel < windows.Channels; channel++, dx += windows.Channel, dy += windows.Places)
            {
                int* at = IndicesOf(row, channel);
                for (int place = 0; place < windows.Places; place++)
                    dx[at[place]] += dy[place];
            }
        }
    }

    int* IndicesOf(int row, int channel) =>
        indices.Start + (nint)row * Output.Width + (nint)channel * windows.Places;
}

/// <summary>A <see cref="Pool2DLayer"/> that takes means, in a training session.</summary>
sealed unsafe class AveragePool2DStage : Stage
{
    readonly ImageWindows windows;
    readonly AlignedMemory<float> divisors;

    public AveragePool2DStage(StageContext context, Pool2DLayer layer)
        : base(context, new RowBuffer(context.Node.Output.Size))
    {
        windows = new ImageWindows(Node.Input, layer.Window);
        divisors = PoolKernels.Divisors(windows, layer.CountIncludePad);
        Step.Work.Reserve((long)windows.Room(1) + windows.Places + Simd.Floats);
    }

    public override RowBuffer MakeInputGradient() => new(Node.Input.Size);

    public override IEnumerable<Pass> Forward() => [Pass.OnRows(Pool)];

    public override IEnumerable<Pass> Backward() => InputGradient is null ? [] : [Pass.OnRows(GoBack)];

    void Pool(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int channel = 0; channel < windows.Channels; channel++)
            {
                windows.Pad(Input.Row(row) + (nint)channel * windows.Channel, 1, work.Start, 0);
                PoolKernels.Average(
                    windows, work.Start, divisors.Start, Output.Row(row) + (nint)channel * windows.Places);
            }
        }
    }

    void GoBack(RowBlock block)
    {
        using WorkMemory.Lease work = Step.Work.Take();
        int room = windows.Room(1);
        float* padded = work.Start, shares = padded + room;
        for (int row = block.First; row < block.First + block.Rows; row++)
        {
            for (int channel = 0; channel < windows.Channels; channel++)
            {
                float* dy = OutputGradient!.Row(row) + (nint)channel * windows.Places;
                PlaneKernels.Divide(dy, divisors.Start, windows.Places, shares);
                new Span<float>(padded, room).Clear();
                PoolKernels.AddShares(windows, shares, padded);
                windows.Unpad(padded, 1, InputGradient!.Row(row) + (nint)channel * windows.Channel);
            }
        }
    }
}

/// <summary>A <see cref="Pool2DLayer"/> in a model.</summary>
sealed unsafe class PoolOperation : ServingOperation
{
    readonly ImageWindows windows;

    /// <summary>Those of means; null for maxima.</summary>
    readonly AlignedMemory<float>? divisors;

    public PoolOperation(Pool2DLayer layer, TensorShape image, TensorShape output)
        : base(image.Size, output.Size)
    {
        windows = new ImageWindows(image, layer.Window);
        if (layer.Function == Pooling.Average)
            divisors = PoolKernels.Divisors(windows, layer.CountIncludePad);
    }

    public override int Work => windows.Room(1);

    public override void Run(float* x, float* y, int rows, float* work)
    {
        int planes = rows * windows.Channels;
        for (int plane = 0; plane < planes; plane++, x += windows.Channel, y += windows.Places)
        {
            windows.Pad(x, 1, work, divisors is null ? float.NegativeInfinity : 0);
            if (divisors is null)
                PoolKernels.Max(windows, work, y);
            else
                PoolKernels.Average(windows, work, divisors.Start, y);
        }
        GC.KeepAlive(divisors);
    }
}
