namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A dense layer or convolution while a model is made. It holds kernel and bias in double, into which batch
/// normalizations are folded one after the other.
/// </summary>
/// <param name="state">Kernel and bias.</param>
/// <param name="outputs">The number of outputs, each with one row of the kernel.</param>
/// <param name="complete">Makes the operation from the folded kernel and bias, and the activation that follows.</param>
sealed class FoldableProduct(LayerState state, int outputs, Func<PackedProduct, ServingOperation> complete)
{
    readonly double[] kernel = Doubles(state.Kernel);
    readonly double[] bias = state.Bias.IsEmpty ? new double[outputs] : Doubles(state.Bias);

    /// <summary>
    /// Folds a normalization of the outputs into the product. Returns false, and changes nothing, if a number would not
    /// fit into a float.
    /// </summary>
    public bool TryFold(AffineMap map)
    {
        int inputs = kernel.Length / bias.Length;
        for (int unit = 0; unit < bias.Length; unit++)
        {
            double scale = map.Scale[unit];
            if (!IsFloat((bias[unit] - map.Mean[unit]) * scale + map.Shift[unit]))
                return false;
            foreach (double weight in kernel.AsSpan(unit * inputs, inputs))
            {
                if (!IsFloat(weight * scale))
                    return false;
            }
        }
        for (int unit = 0; unit < bias.Length; unit++)
        {
            double scale = map.Scale[unit];
            bias[unit] = (bias[unit] - map.Mean[unit]) * scale + map.Shift[unit];
            foreach (ref double weight in kernel.AsSpan(unit * inputs, inputs))
                weight *= scale;
        }
        return true;
    }

    /// <param name="activation">The activation that follows, or null.</param>
    public ServingOperation Complete(ActivationFunction? activation) =>
        complete(new PackedProduct(Floats(kernel), Floats(bias), activation));

    static double[] Doubles(ReadOnlySpan<float> values) => Array.ConvertAll(values.ToArray(), value => (double)value);

    static float[] Floats(double[] values) => Array.ConvertAll(values, value => (float)value);

    static bool IsFloat(double value) => float.IsFinite((float)value);
}

/// <summary>A packed kernel, its bias, and the activation that follows.</summary>
sealed unsafe class PackedProduct
{
    readonly PackedMatrix kernel;
    readonly AlignedMemory<float> bias;
    readonly ActivationFunction? activation;

    /// <param name="kernel">One row per output.</param>
    /// <param name="bias">One value per output.</param>
    /// <param name="activation">The activation that follows, or null.</param>
    public PackedProduct(float[] kernel, float[] bias, ActivationFunction? activation)
    {
        int inputs = kernel.Length / bias.Length;
        this.kernel = new PackedMatrix(inputs, bias.Length);
        fixed (float* source = kernel)
            this.kernel.PackTransposed(source, inputs);
        this.bias = new AlignedMemory<float>(bias.Length);
        bias.CopyTo(this.bias.Span);
        this.activation = activation;
    }

    public int Inputs => kernel.Steps;

    public int Outputs => kernel.Columns;

    /// <summary>Computes rows of outputs from rows of inputs.</summary>
    public void Run(float* x, float* y, int rows)
    {
        MatrixProduct.Multiply(x, Inputs, rows, kernel, y, Outputs, bias.Start);
        activation?.Run(y, y, (nint)rows * Outputs);
        GC.KeepAlive(this);
    }

    /// <summary>Computes an output image from an input image.</summary>
    public void Convolve(ImageConvolution convolution, float* x, float* y, float* work)
    {
        convolution.Run(x, kernel, bias.Start, y, work);
        activation?.Run(y, y, (nint)Outputs * convolution.Windows.Places);
        GC.KeepAlive(this);
    }
}
