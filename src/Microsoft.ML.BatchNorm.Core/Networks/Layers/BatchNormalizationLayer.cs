namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Batch normalization as a layer: all that <see cref="BatchNorm.BatchNormalization"/> and its options have. Its state
/// is a <see cref="BatchNormalizationState"/>.
/// </summary>
/// <param name="Options">
/// The layer's options. <see cref="BatchNormalizationOptions.Axis"/> counts the batch as axis 0; networks here have
/// their channels first, so that 1 is the channel axis of both <c>[features]</c> and <c>[channels, height, width]</c>.
/// </param>
public sealed record BatchNormalizationLayer(BatchNormalizationOptions Options) : Layer
{
    /// <summary>A layer with Keras's defaults over the first axis of a row.</summary>
    public BatchNormalizationLayer()
        : this(BatchNormalizationOptions.Keras with { Axis = 1 })
    {
    }

    /// <summary>The layer's options.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public BatchNormalizationOptions Options { get; init => field = Checked(value); } = Checked(Options);

    /// <inheritdoc/>
    public override string Kind => "BatchNormalization";

    internal override string DefaultName => "batch_normalization";

    /// <summary>The options with the layer's own switch: what a call of the layer goes by.</summary>
    public BatchNormalizationOptions EffectiveOptions =>
        Trainable ? Options : Options with { Trainable = false };

    /// <summary>
    /// Where the channels lie in a batch of <paramref name="rows"/> rows of <paramref name="input"/>.
    /// </summary>
    /// <param name="input">The shape of a row.</param>
    /// <param name="rows">The number of rows in the batch.</param>
    /// <exception cref="ArgumentException">The shape has no such axis.</exception>
    public ChannelLayout Layout(TensorShape input, int rows)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new ChannelLayout(input.WithRows(rows), Options.Axis);
    }

    /// <summary>The number of channels in a row of <paramref name="input"/>.</summary>
    internal int Channels(TensorShape input) =>
        input[(Options.Axis < 0 ? Options.Axis + input.Rank + 1 : Options.Axis) - 1];

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        int axis = Options.Axis < 0 ? Options.Axis + input.Rank + 1 : Options.Axis;
        return axis >= 1 && axis <= input.Rank
            ? input
            : throw Misfit(
                input,
                $"a shape that has axis {Options.Axis}; with the batch as axis 0, its own are 1 to {input.Rank}");
    }

    static BatchNormalizationOptions Checked(BatchNormalizationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        return options;
    }
}
