namespace Microsoft.ML.BatchNorm;

/// <summary>A network as one layer of another. Its layers have names of the form <c>inner/dense</c>.</summary>
/// <param name="Inner">The network.</param>
/// <remarks>
/// <see cref="Layer.Trainable"/> set to false here freezes every layer in it when it is put into a network, as in
/// Keras; there its layers' own switches count.
/// </remarks>
public sealed record NetworkLayer(Network Inner) : Layer
{
    /// <summary>The network.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public Network Inner { get; init => field = Check.NotNull(value); } = Check.NotNull(Inner);

    /// <inheritdoc/>
    public override string Kind => "Network";

    internal override string DefaultName => "network";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Equals(Inner.InputShape) ? Inner.OutputShape : throw Misfit(input, $"{Inner.InputShape}");
    }
}
