namespace Microsoft.ML.BatchNorm;

/// <summary>The mean of each channel of an image: <c>[channels, height, width]</c> becomes <c>[channels]</c>.</summary>
public sealed record GlobalAveragePool2DLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "GlobalAveragePool2D";

    internal override string DefaultName => "global_average_pooling2d";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Rank == 3 ? new TensorShape(input[0]) : throw Misfit(input, "[channels, height, width]");
    }
}
