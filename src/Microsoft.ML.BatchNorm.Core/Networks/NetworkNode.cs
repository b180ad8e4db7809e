using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>A layer in its place in a network: its path, whose values it reads, and the shapes on both sides.</summary>
/// <param name="Path">The layer's name behind those of the blocks around it: <c>base/dense_1</c>.</param>
/// <param name="Layer">The layer.</param>
/// <param name="Inputs">
/// The nodes whose values go in, as indices into <see cref="Network.Nodes"/>; −1 is the network's input.
/// </param>
/// <param name="InputShapes">The shape of a row of each input.</param>
/// <param name="Output">The shape of a row that comes out.</param>
public sealed record NetworkNode(
    string Path, Layer Layer, ImmutableArray<int> Inputs, ImmutableArray<TensorShape> InputShapes, TensorShape Output)
{
    /// <summary>The shape of a row of the first input, which is the only one of most layers.</summary>
    public TensorShape Input => InputShapes[0];

    /// <summary>The tensors that the layer has here, with the switches as they are; none for a layer without.</summary>
    public IEnumerable<TensorSpec> Tensors => Layer.Tensors(Input);

    /// <summary>
    /// The number of values in the layer's kernel and bias, or in its γ, β, moving mean and variance.
    /// </summary>
    public long ParameterCount => Count(tensor => tensor.Role != TensorRole.Other);

    /// <summary>The number of values that training by gradient changes, with the switches as they are.</summary>
    public long TrainableCount => Count(tensor => tensor.IsLearned && tensor.IsTrained);

    /// <summary>
    /// Whether the switches let training change the layer: false where it is frozen, and for a batch normalization of
    /// which nothing can change, as with UpdateStatistics and TrainAffine off. True for a layer without parameters that
    /// is not frozen.
    /// </summary>
    public bool IsTrainable =>
        Layer.Trainable
        && (!Tensors.Any(tensor => !tensor.IsOptional) || Tensors.Any(tensor => tensor.IsTrained));

    /// <summary>Whether training moves the layer's statistics.</summary>
    internal bool MovesStatistics =>
        Tensors.Any(tensor => tensor is { Role: TensorRole.Statistic, IsTrained: true });

    long Count(Func<TensorSpec, bool> isCounted) =>
        Tensors.Where(isCounted).Sum(tensor => (long)(tensor.Shape?.Size ?? 0));

    /// <summary>Whether the path, the layer, what it reads and all shapes are the same.</summary>
    public bool Equals(NetworkNode? other) =>
        other is not null && Path == other.Path && Layer.Equals(other.Layer) && Output.Equals(other.Output)
        && Inputs.AsSpan().SequenceEqual(other.Inputs.AsSpan())
        && InputShapes.AsSpan().SequenceEqual(other.InputShapes.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Path, Layer, Inputs.Length, Inputs[0], Output);
}
