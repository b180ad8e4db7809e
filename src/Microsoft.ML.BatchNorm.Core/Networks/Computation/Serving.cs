namespace Microsoft.ML.BatchNorm;

/// <summary>
/// One step of a <see cref="NetworkModel"/>. Rows lie behind one another without gaps. Immutable.
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

/// <summary>The value of a layer in a model: a step gives it, or a product whose step is still to be added.</summary>
/// <param name="step">The step that gives it; −1 for the features.</param>
sealed class ServingValue(int step)
{
    /// <param name="input">The step that the product reads.</param>
    /// <param name="product">What more can be folded into, until the value is completed.</param>
    public ServingValue(int input, FoldableProduct product)
        : this(input) => Product = product;

    /// <summary>The step that gives the value or, while there is a product, the one that the product reads.</summary>
    public int Step { get; private set; } = step;

    public FoldableProduct? Product { get; private set; }

    /// <summary>Ends the folding: the product's step gives the value.</summary>
    public void Complete(int step) => (Step, Product) = (step, null);
}

/// <summary>The steps of a model while it is made, in their order.</summary>
sealed class ServingSteps
{
    readonly List<(ServingStep Step, int[] Inputs)> steps = [];

    public IReadOnlyList<(ServingStep Step, int[] Inputs)> All => steps;

    /// <summary>Adds a step, and gives its value.</summary>
    public ServingValue Add(ServingStep step, params ServingValue[] inputs)
    {
        int[] places = Array.ConvertAll(inputs, input => Complete(input));
        steps.Add((step, places));
        return new ServingValue(steps.Count - 1);
    }

    /// <summary>
    /// Adds the step of a product that waits for what can be folded into it; nothing, if the value is no such product.
    /// </summary>
    /// <param name="value">The value.</param>
    /// <param name="activation">What follows the product, or null.</param>
    /// <returns>The place of the step that gives the value.</returns>
    public int Complete(ServingValue value, ActivationFunction? activation = null)
    {
        if (value.Product is { } product)
        {
            steps.Add((product.Complete(activation), [value.Step]));
            value.Complete(steps.Count - 1);
        }
        return value.Step;
    }
}
