using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One layer of a <see cref="Network"/>: what it computes, its name and its switch. An immutable value without
/// parameters; these are in a <see cref="NetworkState"/>.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(DenseLayer), "dense")]
[JsonDerivedType(typeof(Conv2DLayer), "conv2D")]
[JsonDerivedType(typeof(BatchNormalizationLayer), "batchNormalization")]
[JsonDerivedType(typeof(ActivationLayer), "activation")]
[JsonDerivedType(typeof(DropoutLayer), "dropout")]
[JsonDerivedType(typeof(Pool2DLayer), "pool2D")]
[JsonDerivedType(typeof(GlobalAveragePool2DLayer), "globalAveragePool2D")]
[JsonDerivedType(typeof(FlattenLayer), "flatten")]
[JsonDerivedType(typeof(AddLayer), "add")]
[JsonDerivedType(typeof(ConcatLayer), "concat")]
[JsonDerivedType(typeof(TorchScriptLayer), "torchScript")]
public abstract record Layer
{
    private protected Layer()
    {
    }

    /// <summary>
    /// The layer's name, without <c>/</c>, <c>\</c>, <c>*</c> and <c>?</c>; unique in its network. Empty: the network
    /// names it as Keras does, <c>dense</c>, <c>dense_1</c>, and so on. Default: empty.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// The name holds one of these characters, or half a surrogate pair.
    /// </exception>
    [JsonIgnore]
    public string Name { get; init => field = Named(value); } = "";

    /// <summary>
    /// False freezes the layer: training leaves its parameters, and a batch normalization stays in inference mode.
    /// Default: true.
    /// </summary>
    public virtual bool Trainable { get; init; } = true;

    /// <summary>What kind of layer it is, in Keras's or PyTorch's name: <c>Dense</c>, <c>ReLU</c>.</summary>
    public abstract string Kind { get; }

    /// <summary>
    /// Keras's name for the first layer of the kind, <c>dense</c> or <c>re_lu</c>; the function's own for those that
    /// Keras has no layer of, and calls <c>activation</c>.
    /// </summary>
    internal abstract string DefaultName { get; }

    /// <summary>The shape of a row that comes out where one of <paramref name="input"/> goes in.</summary>
    /// <param name="input">The shape of a row, without the batch.</param>
    /// <exception cref="ArgumentException">
    /// The layer cannot take that shape; the message names the layer, the shape, and the one that it needs.
    /// </exception>
    [Pure]
    public abstract TensorShape OutputShape(TensorShape input);

    /// <summary>The shape of a row that comes out where rows of these shapes go in.</summary>
    /// <param name="inputs">The shape of a row of each input, without the batch. All layers but
    /// <see cref="AddLayer"/> and <see cref="ConcatLayer"/> take one.</param>
    /// <exception cref="ArgumentException">
    /// The layer cannot take those shapes or as many; the message names the layer, the shapes, and what it needs.
    /// </exception>
    [Pure]
    public virtual TensorShape OutputShape(ImmutableArray<TensorShape> inputs) =>
        inputs.Length == 1 ? OutputShape(inputs[0]) : throw Misfit(inputs, "one");

    /// <summary>The tensors that the layer has behind such an input; none for a layer without parameters.</summary>
    /// <param name="input">The shape of a row, without the batch.</param>
    [Pure]
    public virtual IEnumerable<TensorSpec> Tensors(TensorShape input) => [];

    /// <summary>Fresh values for its tensors, or null where it has none.</summary>
    internal virtual LayerState? Initialize(TensorShape input, Random random)
    {
        var tensors = new List<KeyValuePair<string, Array>>();
        foreach (TensorSpec tensor in Tensors(input))
        {
            if (tensor is not { Shape: { } shape, Initializer: { } initializer })
                continue;
            float[] values = new float[shape.Size];
            initializer.Fill(values, tensor.Fan, random);
            tensors.Add(new(tensor.Name, values));
        }
        return tensors.Count == 0 ? null : LayerState.OfTensors(tensors);
    }

    /// <summary>The layer in a training session of the CPU engine.</summary>
    /// <exception cref="NotSupportedException">Another engine alone runs it.</exception>
    internal abstract Stage CreateStage(StageContext context);

    /// <summary>The layer in a model: adds its operations, and gives their value.</summary>
    /// <exception cref="NotSupportedException">A model cannot have it.</exception>
    /// <exception cref="ArgumentException">With its options, it cannot predict for a single row.</exception>
    internal abstract ServingValue CreateServing(ServingContext context);

    /// <summary>The tensors of a layer with a kernel and, it may be, a bias.</summary>
    private protected IEnumerable<TensorSpec> KernelAndBias(
        TensorShape kernel, KernelInitializer kernelInitializer, KernelInitializer? biasInitializer, long fanIn,
        long fanOut)
    {
        yield return Spec("kernel", kernel, TensorRole.Kernel, kernelInitializer);
        if (biasInitializer is not null)
            yield return Spec("bias", new TensorShape(kernel[0]), TensorRole.Affine, biasInitializer);

        TensorSpec Spec(string name, TensorShape shape, TensorRole role, KernelInitializer initializer) =>
            new(name, shape, TensorType.F32, role)
            {
                IsTrained = Trainable,
                Initializer = initializer,
                Fan = (fanIn, fanOut),
            };
    }

    private protected ArgumentException Misfit(TensorShape input, string needed) => Misfit([input], needed);

    private protected ArgumentException Misfit(ImmutableArray<TensorShape> inputs, string needed) =>
        new($"{Described(inputs)} it needs {needed}.");

    /// <summary>The layer's error where its kernel has more values than an array can.</summary>
    private protected void CheckKernel(TensorShape input, params ReadOnlySpan<long> dimensions) =>
        CheckSize([input], "kernel", Array.MaxLength, dimensions);

    /// <summary>The layer's error where a row of this shape has more values than a network allows.</summary>
    private protected void CheckRow(TensorShape input, string what, params ReadOnlySpan<long> dimensions) =>
        CheckRow([input], what, dimensions);

    /// <inheritdoc cref="CheckRow(TensorShape, string, ReadOnlySpan{long})"/>
    internal void CheckRow(ImmutableArray<TensorShape> inputs, string what, params ReadOnlySpan<long> dimensions) =>
        CheckSize(inputs, what, Network.MaxRowSize, dimensions);

    void CheckSize(ImmutableArray<TensorShape> inputs, string what, int most, ReadOnlySpan<long> dimensions)
    {
        double size = 1;
        foreach (long dimension in dimensions)
            size *= dimension;
        if (size > most)
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture,
                $"{Described(inputs)} its {what} of [{string.Join(", ", dimensions.ToArray())}] takes "
                + $"{size * sizeof(float):N0} bytes, more than the {most * (long)sizeof(float):N0} that are allowed."));
    }

    string Described(ImmutableArray<TensorShape> inputs) =>
        $"Layer '{(Name.Length == 0 ? DefaultName : Name)}' ({Kind}) has {Listed(inputs)};";

    static string Listed(ImmutableArray<TensorShape> inputs) => inputs switch
    {
        [] => "no input",
        [var one] => $"an input of shape {one}",
        [.. var first, var last] => $"inputs of shapes {string.Join(", ", first)} and {last}",
    };

    internal static string Named(string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (value.AsSpan().IndexOfAny("/\\*?") >= 0)
            throw new ArgumentException(
                $"The layer name '{value}' must not hold '/', '\\', '*' or '?'.", nameof(value));
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(value)) == value
            ? value
            : throw new ArgumentException($"The layer name '{value}' has half a surrogate pair.", nameof(value));
    }
}
