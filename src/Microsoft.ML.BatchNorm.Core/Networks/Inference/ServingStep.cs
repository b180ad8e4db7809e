namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>
/// One step of a <see cref="NetworkModel"/>, made ready. Rows lie behind one another without gaps; an image is laid out
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
