namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One operation of a <see cref="NetworkModel"/>. In its inputs and outputs, rows follow one another without gaps.
/// Immutable.
/// </summary>
abstract unsafe class ServingOperation(int inputs, int outputs)
{
    /// <summary>The number of values in a row of the input, or of the first if there are several.</summary>
    public int Inputs => inputs;

    /// <summary>The number of values in a row of the output.</summary>
    public int Outputs => outputs;

    /// <summary>Whether the output may be in the same memory as an input.</summary>
    public virtual bool IsElementwise => false;

    /// <summary>The number of floats of working memory that it needs.</summary>
    public virtual int Work => 0;

    /// <param name="x">The input, of <paramref name="rows"/> rows.</param>
    /// <param name="y">The output.</param>
    /// <param name="rows">The number of rows, positive.</param>
    /// <param name="work">As many floats as <see cref="Work"/> says.</param>
    public abstract void Run(float* x, float* y, int rows, float* work);

    /// <inheritdoc cref="Run(float*, float*, int, float*)"/>
    /// <param name="x">The inputs, in the order in which the operation was given them.</param>
    /// <param name="y">The output.</param>
    /// <param name="rows">The number of rows, positive.</param>
    /// <param name="work">As many floats as <see cref="Work"/> says.</param>
    public virtual void Run(float** x, float* y, int rows, float* work) => Run(x[0], y, rows, work);
}

/// <summary>An operation with several inputs.</summary>
abstract unsafe class MergeOperation(int outputs) : ServingOperation(outputs, outputs)
{
    public override void Run(float* x, float* y, int rows, float* work) => Run(&x, y, rows, work);

    public abstract override void Run(float** x, float* y, int rows, float* work);
}

/// <summary>What a layer needs to add its operations to a model.</summary>
/// <param name="Node">The layer in its network.</param>
/// <param name="State">The layer's parameters; null for a layer without parameters.</param>
/// <param name="Inputs">The values that it reads.</param>
/// <param name="Operations">Receives the layer's operations.</param>
/// <param name="Folds">Whether a batch normalization may be folded into the product before it.</param>
sealed record ServingContext(
    NetworkNode Node, LayerState? State, ServingValue[] Inputs, ServingOperations Operations, bool Folds)
{
    public ServingValue Input => Inputs[0];
}

/// <summary>
/// The output of a layer while a model is made. Either an operation gives it, or a product whose operation is not added
/// yet, because more may be folded into it.
/// </summary>
/// <param name="place">The index of the operation that gives it; −1 for the features.</param>
sealed class ServingValue(int place)
{
    /// <param name="input">The index of the operation whose output the product reads.</param>
    /// <param name="product">The product, into which more can be folded until the value is completed.</param>
    public ServingValue(int input, FoldableProduct product)
        : this(input) => Product = product;

    /// <summary>
    /// The index of the operation that gives the value or, while there is a product, of the operation whose output the
    /// product reads.
    /// </summary>
    public int Place { get; private set; } = place;

    public FoldableProduct? Product { get; private set; }

    /// <summary>Ends the folding: the product's operation, which has this index, gives the value.</summary>
    public void Complete(int place) => (Place, Product) = (place, null);
}

/// <summary>The operations of a model while it is made, in the order in which they run.</summary>
sealed class ServingOperations
{
    readonly List<(ServingOperation Operation, int[] Inputs)> operations = [];

    public IReadOnlyList<(ServingOperation Operation, int[] Inputs)> All => operations;

    /// <summary>Adds an operation, and returns its output.</summary>
    public ServingValue Add(ServingOperation operation, params ServingValue[] inputs)
    {
        int[] places = Array.ConvertAll(inputs, input => Complete(input));
        operations.Add((operation, places));
        return new ServingValue(operations.Count - 1);
    }

    /// <summary>
    /// If a product gives the value, adds the product's operation and so ends the folding into it; else does nothing.
    /// </summary>
    /// <param name="value">The value.</param>
    /// <param name="activation">The activation that follows the product, or null.</param>
    /// <returns>The index of the operation that gives the value.</returns>
    public int Complete(ServingValue value, ActivationFunction? activation = null)
    {
        if (value.Product is { } product)
        {
            operations.Add((product.Complete(activation), [value.Place]));
            value.Complete(operations.Count - 1);
        }
        return value.Place;
    }
}
