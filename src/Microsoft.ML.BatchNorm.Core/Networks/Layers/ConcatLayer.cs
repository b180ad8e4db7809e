using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Two or more inputs behind one another along their first dimension, the channels: <c>[2, 8, 8]</c> and
/// <c>[3, 8, 8]</c> become <c>[5, 8, 8]</c>.
/// </summary>
/// <remarks><see cref="Network.Concat(Network[])"/> puts it into a network.</remarks>
public sealed record ConcatLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "Concat";

    internal override string DefaultName => "concat";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => OutputShape([Check.NotNull(input)]);

    /// <inheritdoc/>
    public override TensorShape OutputShape(ImmutableArray<TensorShape> inputs)
    {
        if (inputs.Length < 2
            || !inputs.All(input => input.Dimensions[1..].SequenceEqual(inputs[0].Dimensions[1..])))
            throw Misfit(inputs, "two or more that differ in the first dimension alone");
        long channels = inputs.Sum(input => (long)input[0]);
        CheckRow(inputs, "output", [channels, .. inputs[0].Dimensions[1..].ToArray().Select(size => (long)size)]);
        return new TensorShape([(int)channels, .. inputs[0].Dimensions[1..]]);
    }
}
