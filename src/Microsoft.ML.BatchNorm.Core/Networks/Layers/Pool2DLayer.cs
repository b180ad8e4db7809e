namespace Microsoft.ML.BatchNorm;

/// <summary>What a window of an image becomes.</summary>
public enum Pooling
{
    /// <summary>The greatest of its values; padding never is.</summary>
    Max,

    /// <summary>The mean of its values, with the padding's zeros, as in PyTorch.</summary>
    Average,
}

/// <summary>
/// The maximum or mean of each window of an image <c>[channels, height, width]</c>, channel by channel.
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

    /// <summary>How far the window moves at a time, or null for its own size. Default: null.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is not positive.</exception>
    public Size2D? Stride { get; init => field = value?.CheckAtLeast(1, nameof(Stride)); }

    /// <summary>Rows and columns on each side of the image, at most half the window. Default: 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is negative.</exception>
    public Size2D Padding { get; init => field = value.CheckAtLeast(0, nameof(Padding)); } = 0;

    /// <inheritdoc/>
    public override string Kind => Function == Pooling.Max ? "MaxPool2D" : "AveragePool2D";

    internal override string DefaultName => Function == Pooling.Max ? "max_pooling2d" : "average_pooling2d";

    internal Window2D Window => new(PoolSize, Stride ?? PoolSize, Padding);

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (2L * Padding.Height > PoolSize.Height || 2L * Padding.Width > PoolSize.Width)
            throw Misfit(input, $"a padding of at most half the window, not {Padding} for {PoolSize}");
        if (input.Rank != 3 || Window.Places(input) is not { } places)
            throw Misfit(input, Window.Needs);
        CheckRow(input, "padded input", Window.Padded(input));
        CheckRow(input, "output", input[0], places.Height, places.Width);
        return new TensorShape(input[0], places.Height, places.Width);
    }
}
