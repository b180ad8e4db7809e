namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Batch normalization as a layer, with everything that <see cref="BatchNorm.BatchNormalization"/> and its options offer.
/// Its state is a <see cref="BatchNormalizationState"/>.
/// </summary>
/// <param name="Options">
/// The layer's options. <see cref="BatchNormalizationOptions.Axis"/> counts the batch as axis 0. Networks here have
/// their channels first, so that 1 is the channel axis of <c>[features]</c> and of <c>[channels, height, width]</c>; 1 is
/// taken if the options set no axis.
/// </param>
public sealed record BatchNormalizationLayer(BatchNormalizationOptions Options) : Layer
{
    const int ChannelsFirst = 1;

    readonly BatchNormalizationOptions options = Checked(Options);

    /// <summary>
    /// A layer that normalizes the first axis of a row. Its other options are null, so that the network's preset fills
    /// them in.
    /// </summary>
    public BatchNormalizationLayer()
        : this(new BatchNormalizationOptions())
    {
    }

    /// <summary>
    /// The layer's options. New options do not unfreeze a frozen layer: only <see cref="Trainable"/> unfreezes it.
    /// </summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public BatchNormalizationOptions Options
    {
        get => options;
        init => options = Checked(value) with { Trainable = value.Trainable && Trainable };
    }

    /// <inheritdoc/>
    public override bool Trainable
    {
        get => options.Trainable;
        init => options = options with { Trainable = value };
    }

    /// <inheritdoc/>
    public override string Kind => "BatchNormalization";

    internal override string DefaultName => "batch_normalization";

    /// <summary>
    /// The layout of the channels in a batch of <paramref name="rows"/> rows of <paramref name="input"/>.
    /// </summary>
    /// <param name="input">The shape of a row.</param>
    /// <param name="rows">The number of rows in the batch.</param>
    /// <exception cref="ArgumentException">The shape has no such axis.</exception>
    public ChannelLayout Layout(TensorShape input, int rows)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new ChannelLayout(input.WithRows(rows), Axis);
    }

    /// <summary>The number of channels in a row of <paramref name="input"/>.</summary>
    internal int Channels(TensorShape input) => input[AxisIn(input) - 1];

    /// <summary>The channel axis, as a number from 0, in a batch of rows of <paramref name="input"/>.</summary>
    internal int AxisIn(TensorShape input) => ChannelLayout.AxisIn(Axis, input.Rank + 1);

    int Axis => Options.Axis!.Value;

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        int axis = AxisIn(input);
        return axis >= 1 && axis <= input.Rank
            ? input
            : throw Misfit(
                input,
                $"a shape that has axis {Axis}; with the batch as axis 0, its own are 1 to {input.Rank}");
    }

    /// <inheritdoc/>
    public override IEnumerable<TensorSpec> Tensors(TensorShape input) =>
        BatchNormalizationTensors.Specs(Options, Channels(Check.NotNull(input)));

    internal override LayerState Initialize(TensorShape input, Random random) =>
        new(BatchNormalization.Initialize(Options, Channels(input)));

    /// <summary>With the activation that alone reads its value, where that can be part of the same passes.</summary>
    internal override Stage CreateStage(StageContext context)
    {
        ChannelLayout row = Layout(context.Node.Input, rows: 1);
        int columns = context.Input.Columns;
        bool ignores = Options.NonFinite == NonFinite.Ignore;
        ChannelKernels? fused =
            (context.OnlyReader as ActivationLayer)?.Computation.FusedKernels(row, columns, ignores);
        context.IncludesReader = fused is not null;
        return new BatchNormalizationStage(
            context, this, fused ?? ChannelKernels.Of(new NoActivation(), row, columns, ignores));
    }

    internal override ServingValue CreateServing(ServingContext context)
    {
        TensorShape shape = context.Node.Input;
        if (!Options.TrackMovingStatistics)
            throw new ArgumentException(
                $"Layer '{context.Node.Path}' has TrackMovingStatistics = false: it normalizes each batch with the "
                + "batch's own statistics, and a single row cannot be served.");
        var map = new AffineMap(Options, context.State!.BatchNormalization!);
        ServingValue input = context.Input;
        // A folded normalization would scale an infinite value, which NonFinite.Ignore passes through unchanged.
        if (context.Folds && AxisIn(shape) == 1 && !map.IgnoresNonFinite && input.Product?.TryFold(map) == true)
            return input;
        return context.Operations.Add(new AffineOperation(map.ForRows<float>(Layout(shape, 1))), input);
    }

    static BatchNormalizationOptions Checked(BatchNormalizationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        return options.Axis is null ? options with { Axis = ChannelsFirst } : options;
    }
}

/// <summary>
/// A batch normalization in a model that is not folded. It subtracts the mean first, so that values with a large mean keep
/// their digits.
/// </summary>
sealed unsafe class AffineOperation(RowMap<float> map) : ServingOperation(map.Length, map.Length)
{
    public override bool IsElementwise => true;

    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
            map.Apply(new ReadOnlySpan<float>(x, Inputs), new Span<float>(y, Outputs));
    }
}
