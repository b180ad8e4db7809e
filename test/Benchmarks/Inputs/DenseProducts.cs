namespace Microsoft.ML.BatchNorm.Benchmarks;

/// <summary>The products of a dense layer in a step of training, on one thread.</summary>
sealed unsafe class DenseProducts
{
    readonly int batch, inputs, outputs;
    readonly PackedMatrix weights, weightsTransposed, outputGradient;
    // On the pinned heap: the addresses hold as long as the arrays do.
    readonly float[] inputArray, outputArray, weightArray, biasArray;
    readonly float* x, y, w, bias;

    public DenseProducts(int batch, int inputs, int outputs)
    {
        (this.batch, this.inputs, this.outputs) = (batch, inputs, outputs);
        inputArray = Aligned(batch * inputs, out x);
        outputArray = Aligned(batch * outputs, out y);
        weightArray = Aligned(inputs * outputs, out w);
        biasArray = Aligned(outputs, out bias);
        weights = new PackedMatrix(inputs, outputs);
        weightsTransposed = new PackedMatrix(outputs, inputs);
        outputGradient = new PackedMatrix(batch, outputs);
        Pack();
        PackTransposed();
        PackGradient();
    }

    /// <summary>Operations of one product; a multiply-add is two.</summary>
    public double Operations => 2.0 * batch * inputs * outputs;

    public void Pack() => weights.Pack(w, outputs);

    public void PackTransposed() => weightsTransposed.PackTransposed(w, outputs);

    public void PackGradient() => outputGradient.Pack(y, outputs);

    public void Forward() => MatrixProduct.Multiply(x, inputs, batch, weights, y, outputs, bias);

    public void ForwardUnpacked() => MatrixProduct.Multiply(
        x, inputs, batch, MatrixPanels.OfRows(w, outputs, inputs, outputs), y, outputs, bias);

    public void InputGradient() => MatrixProduct.Multiply(y, outputs, batch, weightsTransposed, x, inputs);

    public void WeightGradient() => MatrixProduct.MultiplyTransposed(x, inputs, inputs, outputGradient, w, outputs);

    public void WeightGradientUnpacked() => MatrixProduct.MultiplyTransposed(
        x, inputs, inputs, MatrixPanels.OfRows(y, outputs, batch, outputs), w, outputs);

    public void OneRow() => MatrixProduct.Multiply(x, inputs, 1, weights, y, outputs, bias);

    static float[] Aligned(int length, out float* start)
    {
        float[] values = GC.AllocateArray<float>(length + 16, pinned: true);
        var random = new Random(length);
        for (int i = 0; i < values.Length; i++)
            values[i] = random.NextSingle() - 0.5f;
        fixed (float* first = values)
            start = (float*)(((nuint)first + 63) & ~(nuint)63);
        return values;
    }
}
