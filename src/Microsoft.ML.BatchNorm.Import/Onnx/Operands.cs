using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Import;

/// <summary>What a node of the graph reads or gives.</summary>
abstract class Operand;

/// <summary>The output of a node that cannot be imported, or that depends on such a node.</summary>
sealed class Unknown : Operand
{
    public static Unknown Value { get; } = new();
}

/// <summary>A further output of a node, which has no equivalent in a network, such as the indices of maxima.</summary>
sealed class Unavailable(OnnxNode node) : Operand
{
    public OnnxNode Node => node;
}

/// <summary>A tensor of the file, perhaps seen with other dimensions.</summary>
/// <param name="name">
/// The name under which a node reads it, from which a layer may get its path; empty if an exporter made the name up.
/// </param>
/// <param name="tensor">The tensor.</param>
/// <param name="dimensions">The dimensions that the node sees.</param>
/// <param name="order">
/// For each dimension that the node sees, which one of the tensor it is; null if they are the same.
/// </param>
sealed class Constant(string name, OnnxTensor tensor, ImmutableArray<int> dimensions, ImmutableArray<int>? order = null)
    : Operand
{
    public string Name => name;

    public OnnxTensor Tensor => tensor;

    public ImmutableArray<int> Dimensions => dimensions;

    public ImmutableArray<int>? Order => order;

    public int Count => dimensions.Aggregate(1, (count, size) => count * size);

    public static Constant Of(string name, OnnxTensor tensor) => new(name, tensor, tensor.Shape);

    public Constant Named(string other) => new(other, tensor, dimensions, order);

    /// <summary>The same values with their dimensions in another order.</summary>
    public Constant Transposed(IReadOnlyList<int> permutation)
    {
        ImmutableArray<int> all = [.. permutation.Select(axis => order is { } known ? known[axis] : axis)];
        return new Constant(
            name, tensor, [.. permutation.Select(axis => dimensions[axis])],
            all.SequenceEqual(Enumerable.Range(0, all.Length)) ? null : all);
    }

    /// <summary>The same values with other dimensions; null where they would have to be moved.</summary>
    public Constant? Reshaped(ImmutableArray<int> other) => order is null ? new Constant(name, tensor, other) : null;
}

/// <summary>Sizes of a value, computed from its shape; null stands for the size of the batch.</summary>
/// <param name="items">The sizes.</param>
/// <param name="isScalar">Whether it is one number without a dimension.</param>
sealed class Sizes(ImmutableArray<long?> items, bool isScalar = false) : Operand
{
    public ImmutableArray<long?> Items => items;

    public bool IsScalar => isScalar;
}

/// <summary>
/// A value that is computed from the network's input: what a <see cref="Import.Term"/> gives, seen with dimensions that
/// the term's shape need not have. Reshaping and transposing changes nothing but how the value is seen.
/// </summary>
/// <param name="term">What computes it.</param>
/// <param name="shape">
/// The dimensions of a row in the order in which its values lie in memory, such as channels, height and width.
/// </param>
/// <param name="order">
/// For each dimension that the graph has, which one of a batch it is: 0 for the rows, then those of the shape.
/// </param>
sealed class Value(Term term, ImmutableArray<int> shape, ImmutableArray<int> order) : Operand
{
    public Value(Term term, ImmutableArray<int> shape) : this(term, shape, [.. Enumerable.Range(0, shape.Length + 1)])
    {
    }

    public Term Term => term;

    public ImmutableArray<int> Shape => shape;

    public ImmutableArray<int> Order => order;

    /// <summary>Whether other nodes read it too.</summary>
    public bool IsShared { get; init; }

    /// <summary>The node that has given it another shape, or null.</summary>
    public OnnxNode? Viewer { get; init; }

    /// <summary>
    /// If the value is an image that was transposed and then flattened: the image's dimensions, and their order before
    /// it was flattened. Null for other values.
    /// </summary>
    public (ImmutableArray<int> Shape, ImmutableArray<int> Order)? Moved { get; init; }

    /// <summary>The number of dimensions that the graph has, with the batch.</summary>
    public int Rank => order.Length;

    public int Size => shape.Aggregate(1, (size, dimension) => size * dimension);

    bool IsPlain => Moved is null && order.SequenceEqual(Enumerable.Range(0, Rank));

    /// <summary>A dimension that the graph has; null for the batch.</summary>
    public int? this[int axis] => order[axis] == 0 ? null : shape[order[axis] - 1];

    /// <summary>The same view of another term with as many values.</summary>
    public Value With(Term other) => new(other, shape, order) { Moved = Moved, Viewer = Viewer };

    /// <summary>The same value with other dimensions of the same values in the same order.</summary>
    public Value Seen(ImmutableArray<int> other, OnnxNode? viewer) =>
        new(term, other) { IsShared = IsShared, Viewer = viewer };

    /// <summary>The same value with the graph's dimensions in another order.</summary>
    public Value Transposed(IReadOnlyList<int> permutation) =>
        new(term, shape, [.. permutation.Select(axis => order[axis])]) { IsShared = IsShared, Viewer = Viewer };

    /// <summary>
    /// The same value with its dimensions in memory as the graph has them; null if values would have to be moved, which
    /// dimensions of size 1 do not.
    /// </summary>
    public Value? AsPlain()
    {
        if (IsPlain)
            return this;
        int[] moving = [.. order.Where(axis => axis == 0 || shape[axis - 1] > 1)];
        return Moved is null && order[0] == 0 && moving.SequenceEqual(moving.Order())
            ? Seen([.. order[1..].Select(axis => shape[axis - 1])], Viewer)
            : null;
    }
}

/// <summary>
/// A step of the network that is being made. A step that turns out to be part of another one is not read in the end,
/// and so never becomes a layer.
/// </summary>
/// <param name="node">The node that it comes from; null for the network's input.</param>
/// <param name="number">Its place among all steps; it reads only steps before it.</param>
abstract class Term(OnnxNode? node, int number)
{
    public OnnxNode? Node => node;

    public int Number => number;

    public abstract ImmutableArray<Term> Inputs { get; }

    /// <summary>The shape of a row, without the batch.</summary>
    public abstract TensorShape Shape { get; }

    /// <summary>The names of the tensors that it was made from.</summary>
    public virtual ImmutableArray<string> Tensors => [];
}

/// <summary>The network's input. Its shape is settled when the first layer reads it.</summary>
sealed class InputTerm() : Term(null, -1)
{
    public TensorShape? Settled { get; set; }

    public override ImmutableArray<Term> Inputs => [];

    public override TensorShape Shape => Settled!;
}

/// <summary>A step that is a layer.</summary>
sealed class LayerTerm(
    OnnxNode? node, int number, Layer layer, ImmutableArray<Term> inputs, TensorShape shape, LayerState? state,
    ImmutableArray<string> tensors) : Term(node, number)
{
    public Layer Layer => layer;

    public LayerState? State => state;

    public override ImmutableArray<Term> Inputs => inputs;

    public override TensorShape Shape => shape;

    public override ImmutableArray<string> Tensors => tensors;
}

/// <summary>
/// Constants that scale a value and are added to it. It becomes a frozen batch normalization, unless it is found to be
/// part of another layer.
/// </summary>
sealed class ScaleTerm(OnnxNode node, int number, Term input, ScaleAndShift map, ImmutableArray<string> tensors)
    : Term(node, number)
{
    public ScaleAndShift Map => map;

    public override ImmutableArray<Term> Inputs => [input];

    public override TensorShape Shape => input.Shape;

    public override ImmutableArray<string> Tensors => tensors;
}

/// <summary>What a step is that is a layer only together with others.</summary>
enum PartKind
{
    /// <summary>The error function of a value.</summary>
    Erf,

    /// <summary>A value minus itself: 0, or NaN where it is not finite.</summary>
    Difference,

    /// <summary>Whether a value is NaN.</summary>
    IsNaN,

    /// <summary>Whether a value is NaN or infinite.</summary>
    IsNonFinite,

    /// <summary>NaN where a value is NaN, else 0.</summary>
    ZeroOrNaN,

    /// <summary>An image with constants around it.</summary>
    Pad,

    /// <summary>A softmax, which belongs to the loss.</summary>
    Softmax,
}

/// <summary>A step that is a layer only together with others, such as the error function in a Gelu.</summary>
sealed class PartTerm(OnnxNode node, int number, PartKind kind, Value input) : Term(node, number)
{
    public PartKind Kind => kind;

    /// <summary>The value that it is computed from.</summary>
    public Value Input => input;

    /// <summary>Of a <see cref="PartKind.Pad"/>, rows and columns.</summary>
    public Padding2D Padding { get; init; }

    /// <summary>Of a <see cref="PartKind.Pad"/>, the constant around the image.</summary>
    public double Fill { get; init; }

    public override ImmutableArray<Term> Inputs => [input.Term];

    public override TensorShape Shape => kind == PartKind.Pad
        ? new TensorShape(
            input.Shape[0], input.Shape[1] + Padding.Top + Padding.Bottom,
            input.Shape[2] + Padding.Left + Padding.Right)
        : input.Term.Shape;
}
