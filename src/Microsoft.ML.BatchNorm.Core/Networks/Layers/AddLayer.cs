using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>The sum of two or more inputs of one shape, value by value: the end of a residual block.</summary>
/// <remarks>It adds in the order of its inputs. <see cref="Network.Residual"/> puts it into a network.</remarks>
public sealed record AddLayer : Layer
{
    /// <inheritdoc/>
    public override string Kind => "Add";

    internal override string DefaultName => "add";

    /// <inheritdoc/>
    public override TensorShape OutputShape(TensorShape input) => OutputShape([Check.NotNull(input)]);

    /// <inheritdoc/>
    public override TensorShape OutputShape(ImmutableArray<TensorShape> inputs) =>
        inputs.Length >= 2 && inputs.All(inputs[0].Equals)
            ? inputs[0]
            : throw Misfit(inputs, "two or more of one shape");
}
