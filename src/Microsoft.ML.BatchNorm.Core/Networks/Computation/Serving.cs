namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One step of a <see cref="NetworkModel"/>. Rows lie behind one another without gaps; an image is laid out
/// <c>[height, width, channels]</c> inside, since there a convolution is a product of matrices. Immutable.
/// </summary>
abstract unsafe class ServingStep(int inputs, int outputs)
{
    /// <summary>The values of a row that goes in, the first where there are several.</summary>
    public int Inputs => inputs;

    /// <summary>The values of a row that comes out.</summary>
    public int Outputs => outputs;

    /// <summary>Whether the output may be an input's memory.</summary>
    public virtual bool IsElementwise => false;

    /// <summary>The floats that it needs beside input and output.</summary>
    public virtual int Work => 0;

    /// <param name="x">The input, of <paramref name="rows"/> rows.</param>
    /// <param name="y">The output.</param>
    /// <param name="rows">The number of rows, positive.</param>
    /// <param name="work">As many floats as <see cref="Work"/> says.</param>
    public abstract void Run(float* x, float* y, int rows, float* work);

    /// <inheritdoc cref="Run(float*, float*, int, float*)"/>
    /// <param name="x">The inputs, as many as the step was given.</param>
    /// <param name="y">The output.</param>
    /// <param name="rows">The number of rows, positive.</param>
    /// <param name="work">As many floats as <see cref="Work"/> says.</param>
    public virtual void Run(float** x, float* y, int rows, float* work) => Run(x[0], y, rows, work);
}

/// <summary>A step of several inputs.</summary>
abstract unsafe class MergeStep(int outputs) : ServingStep(outputs, outputs)
{
    public override void Run(float* x, float* y, int rows, float* work) => Run(&x, y, rows, work);

    public abstract override void Run(float** x, float* y, int rows, float* work);
}

/// <summary>What a layer's steps in a model are made of.</summary>
/// <param name="Node">The layer in its network.</param>
/// <param name="State">Its parameters, or null for a layer without.</param>
/// <param name="Inputs">The values that it reads.</param>
/// <param name="Steps">Takes its steps.</param>
/// <param name="Folds">Whether a batch normalization may be folded into the product before it.</param>
sealed record ServingContext(
    NetworkNode Node, LayerState? State, ServingValue[] Inputs, ServingSteps Steps, bool Folds)
{
    public ServingValue Input => Inputs[0];
}

/// <summary>
/// The value of a layer in a model: the steps that give it in each layout, or a product that is still to be completed.
/// </summary>
/// <param name="shape">The shape of a row.</param>
sealed class ServingValue(TensorShape shape)
{
    /// <summary>A value that a step gives as the network defines it.</summary>
    public ServingValue(TensorShape shape, int step)
        : this(shape) => First = step;

    /// <summary>A value that a product gives as the network defines it.</summary>
    public ServingValue(TensorShape shape, int input, FoldableProduct product)
        : this(shape) => (Input, Product) = (input, product);

    /// <summary>An image that a step gives with its channels last.</summary>
    public static ServingValue OfImage(TensorShape shape, int step) => new(shape) { Last = step };

    /// <summary>An image that a product gives with its channels last.</summary>
    public static ServingValue OfImage(TensorShape shape, int input, FoldableProduct product) =>
        new(shape, input, product) { isImage = true };

    bool isImage;

    public TensorShape Shape => shape;

    /// <summary>The step that gives it as the network defines it; −1 for the features.</summary>
    public int? First { get; set; }

    /// <summary>The step that gives it with an image's channels last.</summary>
    public int? Last { get; set; }

    /// <summary>Whether steps go on from the value with its channels last.</summary>
    public bool IsLast => Last is not null;

    /// <summary>The product whose step is still to be made, so that more can be folded into it.</summary>
    public FoldableProduct? Product { get; private set; }

    /// <summary>The step that the product reads.</summary>
    public int Input { get; }

    /// <summary>Ends the folding: the product's step gives the value.</summary>
    public void Complete(int step)
    {
        Product = null;
        if (isImage)
            Last = step;
        else
            First = step;
    }
}

/// <summary>The steps of a model while it is made, in their order.</summary>
sealed class ServingSteps
{
    readonly List<(ServingStep Step, int[] Inputs)> steps = [];

    public IReadOnlyList<(ServingStep Step, int[] Inputs)> All => steps;

    /// <summary>Adds a step, and gives its place.</summary>
    /// <param name="step">The step.</param>
    /// <param name="inputs">The places of the steps that it reads; −1 for the features.</param>
    public int Add(ServingStep step, params int[] inputs)
    {
        steps.Add((step, inputs));
        return steps.Count - 1;
    }

    /// <summary>Adds an elementwise step, which keeps its input's layout.</summary>
    public ServingValue Elementwise(ServingValue input, ServingStep step)
    {
        Complete(input);
        return input.IsLast
            ? ServingValue.OfImage(input.Shape, Add(step, input.Last!.Value))
            : new ServingValue(input.Shape, Add(step, input.First!.Value));
    }

    /// <summary>Adds a step of several inputs in one layout: that of <see cref="IsLast"/>.</summary>
    public ServingValue Merge(TensorShape output, ServingValue[] inputs, ServingStep step) => IsLast(inputs)
        ? ServingValue.OfImage(output, Add(step, [.. inputs.Select(ChannelsLast)]))
        : new ServingValue(output, Add(step, [.. inputs.Select(ChannelsFirst)]));

    /// <summary>Whether some inputs are merged with their channels last: one of them has them so already.</summary>
    public bool IsLast(ServingValue[] inputs)
    {
        Array.ForEach(inputs, input => Complete(input));
        return Array.Exists(inputs, input => input.IsLast);
    }

    /// <summary>Adds the step of a product that waits for what can be folded into it.</summary>
    /// <param name="value">The value; nothing happens if it is no such product.</param>
    /// <param name="activation">What follows, or null.</param>
    public void Complete(ServingValue value, ActivationFunction? activation = null)
    {
        if (value.Product is { } product)
            value.Complete(Add(product.Complete(activation), value.Input));
    }

    /// <summary>The value with its channels last, as images have them in a model.</summary>
    public int ChannelsLast(ServingValue value)
    {
        Complete(value);
        TensorShape image = value.Shape;
        return value.Last ??= IsTransposed(image)
            ? Add(new TransposeStep(image[0], image[1] * image[2]), value.First!.Value)
            : value.First!.Value;
    }

    /// <summary>The value as the network defines it, with an image's channels first.</summary>
    public int ChannelsFirst(ServingValue value)
    {
        Complete(value);
        TensorShape image = value.Shape;
        return value.First ??= IsTransposed(image)
            ? Add(new TransposeStep(image[1] * image[2], image[0]), value.Last!.Value)
            : value.Last!.Value;
    }

    static bool IsTransposed(TensorShape image) => image[0] > 1 && image[1] * image[2] > 1;

    /// <summary>
    /// Swaps the dimensions of a matrix: <c>[channels, positions]</c> to <c>[positions, channels]</c> or back.
    /// </summary>
    sealed unsafe class TransposeStep(int height, int width) : ServingStep(height * width, height * width)
    {
        const int Tile = 16;

        public override void Run(float* x, float* y, int rows, float* work)
        {
            for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
            {
                for (int top = 0; top < height; top += Tile)
                {
                    int bottom = Math.Min(height, top + Tile);
                    for (int left = 0; left < width; left++)
                    {
                        for (int i = top; i < bottom; i++)
                            y[left * height + i] = x[i * width + left];
                    }
                }
            }
        }
    }
}
