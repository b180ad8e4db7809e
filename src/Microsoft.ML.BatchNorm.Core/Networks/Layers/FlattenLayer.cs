namespace Microsoft.ML.BatchNorm;

/// <summary>The same values in one dimension, the last of the input's running fastest.</summary>
public sealed record FlattenLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "Flatten";

    internal override string DefaultName => "flatten";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new TensorShape(input.Size);
    }
}
