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

    /// <summary>
    /// The number of values in the layer's kernel and bias, or in its γ, β, moving mean and variance.
    /// </summary>
    public long ParameterCount => LearnedCount + StatisticsCount;

    /// <summary>The number of values that training by gradient changes, with the switches as they are.</summary>
    public long TrainableCount =>
        IsFrozen || Layer is BatchNormalizationLayer { Options.TrainAffine: false } ? 0 : LearnedCount;

    /// <summary>
    /// Whether the switches let training change the layer: false where it is frozen, and for a batch normalization of
    /// which nothing can change, as with UpdateStatistics and TrainAffine off. True for a layer without parameters that
    /// is not frozen.
    /// </summary>
    public bool IsTrainable =>
        !IsFrozen && (Layer is not BatchNormalizationLayer || TrainableCount > 0 || MovesStatistics);

    /// <summary>Whether the layer's own switch is off, which a training run may not turn on.</summary>
    internal bool IsFrozen => Layer is { Trainable: false } or BatchNormalizationLayer { Options.Trainable: false };

    /// <summary>Whether training moves the layer's statistics.</summary>
    internal bool MovesStatistics =>
        Layer is BatchNormalizationLayer layer && layer.EffectiveOptions.MovesStatistics(training: true);

    long LearnedCount => Layer is BatchNormalizationLayer layer
        ? (long)layer.Channels(Input) * ((layer.Options.Scale ? 1 : 0) + (layer.Options.Center ? 1 : 0))
        : Layer.Parameters(Input).Sum(parameter => (long)parameter.Shape.Size);

    long StatisticsCount => Layer is BatchNormalizationLayer layer && layer.Options.TrackMovingStatistics
        ? 2L * layer.Channels(Input)
        : 0;

    /// <summary>Whether the path, the layer, what it reads and all shapes are the same.</summary>
    public bool Equals(NetworkNode? other) =>
        other is not null && Path == other.Path && Layer.Equals(other.Layer) && Output.Equals(other.Output)
        && Inputs.AsSpan().SequenceEqual(other.Inputs.AsSpan())
        && InputShapes.AsSpan().SequenceEqual(other.InputShapes.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Path, Layer, Inputs.Length, Inputs[0], Output);
}
