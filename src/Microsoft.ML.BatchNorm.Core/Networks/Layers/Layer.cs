using System.Collections.Immutable;
using System.Diagnostics.Contracts;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One layer of a <see cref="Network"/>: what it computes, its name, and whether it trains. An immutable value without
/// parameters; those are in a <see cref="NetworkState"/>.
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
[JsonDerivedType(typeof(MultiplyLayer), "multiply")]
[JsonDerivedType(typeof(RandomHorizontalFlipLayer), "randomHorizontalFlip")]
[JsonDerivedType(typeof(RandomCropLayer), "randomCrop")]
[JsonDerivedType(typeof(TorchScriptLayer), "torchScript")]
public abstract record Layer
{
    private protected Layer()
    {
    }

    /// <summary>
    /// The layer's name, without <c>/</c>, <c>\</c>, <c>*</c> and <c>?</c>; unique in its network. If it is empty, the
    /// network gives the layer the name that Keras would give it: <c>dense</c>, <c>dense_1</c>, and so on. Default:
    /// empty.
    /// </summary>
    /// <exception cref="ArgumentException">The name has one of these characters, or half a surrogate pair.</exception>
    [JsonIgnore]
    public string Name { get; init => field = Named(value); } = "";

    /// <summary>
    /// False freezes the layer: training does not change its parameters, and a batch normalization stays in inference
    /// mode. Default: true.
    /// </summary>
    public virtual bool Trainable { get; init; } = true;

    /// <summary>The kind of layer, by its name in Keras or PyTorch: <c>Dense</c>, <c>ReLU</c>.</summary>
    public abstract string Kind { get; }

    /// <summary>
    /// The name that Keras gives the first layer of this kind, such as <c>dense</c> or <c>re_lu</c>. A function for
    /// which Keras has no layer of its own, and which it names <c>activation</c>, has its own name here.
    /// </summary>
    internal abstract string DefaultName { get; }

    /// <summary>The shape of an output row for an input row of shape <paramref name="input"/>.</summary>
    /// <param name="input">The shape of an input row, without the batch.</param>
    /// <exception cref="ArgumentException">
    /// The layer cannot take that shape; the message names the layer, the shape, and the shape that it needs.
    /// </exception>
    [Pure]
    public abstract TensorShape OutputShape(TensorShape input);

    /// <summary>The shape of an output row for input rows of these shapes.</summary>
    /// <param name="inputs">
    /// The shape of a row of each input, without the batch. <see cref="AddLayer"/>, <see cref="ConcatLayer"/> and
    /// <see cref="MultiplyLayer"/> take several inputs, all other layers one.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The layer cannot take those shapes or that number of inputs; the message names the layer, the shapes, and what
    /// it needs.
    /// </exception>
    [Pure]
    public virtual TensorShape OutputShape(ImmutableArray<TensorShape> inputs) =>
        inputs.Length == 1 ? OutputShape(inputs[0]) : throw Misfit(inputs, "one");

    /// <summary>The tensors that the layer has for such an input; empty for a layer without parameters.</summary>
    /// <param name="input">The shape of an input row, without the batch.</param>
    [Pure]
    public virtual IEnumerable<TensorSpec> Tensors(TensorShape input) => [];

    /// <summary>The first values of the layer's tensors, or null if it has none.</summary>
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

    /// <summary>Makes the layer's stage for a training session of the CPU engine.</summary>
    /// <exception cref="NotSupportedException">Only another engine can run the layer.</exception>
    internal abstract Stage CreateStage(StageContext context);

    /// <summary>Adds the layer's operations to a model, and returns their output.</summary>
    /// <exception cref="NotSupportedException">A model cannot have such a layer.</exception>
    /// <exception cref="ArgumentException">With its options, the layer cannot predict a single row.</exception>
    internal abstract ServingValue CreateServing(ServingContext context);

    /// <summary>The tensors of a layer that has a kernel and may have a bias.</summary>
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

    /// <summary>Throws the layer's error if its kernel has more values than an array can have.</summary>
    private protected void CheckKernel(TensorShape input, params ReadOnlySpan<long> dimensions) =>
        CheckSize([input], "kernel", Array.MaxLength, dimensions);

    /// <summary>Throws the layer's error if a row of this shape has more values than a network allows.</summary>
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

    const int MostListed = 8;

    static string Listed(ImmutableArray<TensorShape> inputs) => inputs switch
    {
        [] => "no input",
        [var one] => $"an input of shape {one}",
        { Length: > MostListed } => $"inputs of shapes {Check.List(inputs, MostListed)}",
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
