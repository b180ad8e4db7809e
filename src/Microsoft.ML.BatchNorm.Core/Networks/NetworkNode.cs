using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm;

/// <summary>A layer in a network: its path, what it reads, and the shapes of its inputs and its output.</summary>
/// <param name="Path">The names of the blocks around the layer, then its own: <c>base/dense_1</c>.</param>
/// <param name="Layer">The layer.</param>
/// <param name="Inputs">
/// The nodes whose outputs the layer reads, as indices into <see cref="Network.Nodes"/>; −1 is the network's input.
/// </param>
/// <param name="InputShapes">The shape of a row of each input, without the batch.</param>
/// <param name="Output">The shape of an output row, without the batch.</param>
public sealed record NetworkNode(
    string Path, Layer Layer, ImmutableArray<int> Inputs, ImmutableArray<TensorShape> InputShapes, TensorShape Output)
{
    /// <summary>The shape of a row of the first input. Most layers have only one.</summary>
    public TensorShape Input => InputShapes[0];

    /// <summary>
    /// The tensors of the layer, with the switches as they are; empty for a layer without parameters.
    /// </summary>
    public IEnumerable<TensorSpec> Tensors => Layer.Tensors(Input);

    /// <summary>
    /// The number of values in the layer's kernel and bias, or in its γ, β, moving mean and moving variance.
    /// </summary>
    public long ParameterCount => Count(tensor => tensor.Role != TensorRole.Other);

    /// <summary>The number of values that training changes by gradients, with the switches as they are.</summary>
    public long TrainableCount => Count(tensor => tensor.IsLearned && tensor.IsTrained);

    /// <summary>
    /// Whether the switches let training change the layer. False for a frozen layer, and for a batch normalization in
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

    /// <summary>Whether path, layer, inputs and all shapes are equal.</summary>
    public bool Equals(NetworkNode? other) =>
        other is not null && Path == other.Path && Layer.Equals(other.Layer) && Output.Equals(other.Output)
        && Inputs.AsSpan().SequenceEqual(other.Inputs.AsSpan())
        && InputShapes.AsSpan().SequenceEqual(other.InputShapes.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Path, Layer, Inputs.Length, Inputs[0], Output);
}
