namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One operation of a <see cref="NetworkModel"/>. Rows lie behind one another without gaps. Immutable.
/// </summary>
abstract unsafe class ServingOperation(int inputs, int outputs)
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
    /// <param name="x">The inputs, as many as the operation was given.</param>
    /// <param name="y">The output.</param>
    /// <param name="rows">The number of rows, positive.</param>
    /// <param name="work">As many floats as <see cref="Work"/> says.</param>
    public virtual void Run(float** x, float* y, int rows, float* work) => Run(x[0], y, rows, work);
}

/// <summary>An operation of several inputs.</summary>
abstract unsafe class MergeOperation(int outputs) : ServingOperation(outputs, outputs)
{
    public override void Run(float* x, float* y, int rows, float* work) => Run(&x, y, rows, work);

    public abstract override void Run(float** x, float* y, int rows, float* work);
}

/// <summary>What a layer's operations in a model are made of.</summary>
/// <param name="Node">The layer in its network.</param>
/// <param name="State">Its parameters, or null for a layer without.</param>
/// <param name="Inputs">The values that it reads.</param>
/// <param name="Operations">Takes its operations.</param>
/// <param name="Folds">Whether a batch normalization may be folded into the product before it.</param>
sealed record ServingContext(
    NetworkNode Node, LayerState? State, ServingValue[] Inputs, ServingOperations Operations, bool Folds)
{
    public ServingValue Input => Inputs[0];
}

/// <summary>
/// The value of a layer in a model: an operation gives it, or a product whose operation is still to be added.
/// </summary>
/// <param name="place">The place of the operation that gives it; −1 for the features.</param>
sealed class ServingValue(int place)
{
    /// <param name="input">The place of the operation that the product reads.</param>
    /// <param name="product">What more can be folded into, until the value is completed.</param>
    public ServingValue(int input, FoldableProduct product)
        : this(input) => Product = product;

    /// <summary>
    /// The place of the operation that gives the value or, while there is a product, of the one that the product reads.
    /// </summary>
    public int Place { get; private set; } = place;

    public FoldableProduct? Product { get; private set; }

    /// <summary>Ends the folding: the product's operation, at this place, gives the value.</summary>
    public void Complete(int place) => (Place, Product) = (place, null);
}

/// <summary>The operations of a model while it is made, in their order.</summary>
sealed class ServingOperations
{
    readonly List<(ServingOperation Operation, int[] Inputs)> operations = [];

    public IReadOnlyList<(ServingOperation Operation, int[] Inputs)> All => operations;

    /// <summary>Adds an operation, and gives its value.</summary>
    public ServingValue Add(ServingOperation operation, params ServingValue[] inputs)
    {
        int[] places = Array.ConvertAll(inputs, input => Complete(input));
        operations.Add((operation, places));
        return new ServingValue(operations.Count - 1);
    }

    /// <summary>
    /// Adds the operation of a product that waits for what can be folded into it; nothing, if the value is no such
    /// product.
    /// </summary>
    /// <param name="value">The value.</param>
    /// <param name="activation">What follows the product, or null.</param>
    /// <returns>The place of the operation that gives the value.</returns>
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
