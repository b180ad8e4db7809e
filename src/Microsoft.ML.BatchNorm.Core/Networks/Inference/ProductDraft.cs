namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>
/// A dense layer or convolution while a model is made: its kernel and bias in double, into which batch normalizations
/// are folded one after the other.
/// </summary>
sealed class ProductDraft(NetworkNode node, LayerState state)
{
    readonly double[] kernel = [.. Enumerable.Select(state.Kernel.ToArray(), value => (double)value)];
    readonly double[] bias = state.Bias.IsEmpty
        ? new double[node.Output[0]]
        : [.. Enumerable.Select(state.Bias.ToArray(), value => (double)value)];

    public ActivationLayer? Activation { get; set; }

    /// <summary>
    /// Folds a normalization of the outputs' first axis, unless an activation is in between, a float cannot hold the
    /// numbers that come of it, or infinite outputs are to pass through it.
    /// </summary>
    public bool TryFold(BatchNormalizationLayer layer, AffineMap map)
    {
        if (Activation is not null || layer.AxisIn(node.Output) != 1 || map.IgnoresNonFinite)
            return false;
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

    public ServingStep Complete()
    {
        float[] shifts = Array.ConvertAll(bias, value => (float)value);
        int steps = kernel.Length / bias.Length;
        if (node.Layer is Conv2DLayer convolution)
        {
            var product = new PackedProduct(ChannelsLast(node.Input[0], steps), steps, shifts, Activation);
            return new ConvolutionStep(product, convolution.Window, node.Input, node.Output);
        }
        float[] weights = Array.ConvertAll(kernel, value => (float)value);
        return new DenseStep(new PackedProduct(weights, steps, shifts, Activation), steps, node.Output.Size);
    }

    /// <summary>From <c>[filters, channels, height, width]</c> to <c>[filters, height, width, channels]</c>.</summary>
    float[] ChannelsLast(int channels, int seen)
    {
        float[] last = new float[kernel.Length];
        int area = seen / channels;
        for (int i = 0; i < last.Length; i++)
        {
            int filter = i / seen, place = i % seen / channels, channel = i % channels;
            last[i] = (float)kernel[filter * seen + channel * area + place];
        }
        return last;
    }

    static bool IsFloat(double value) => float.IsFinite((float)value);
}
