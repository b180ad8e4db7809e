namespace Microsoft.ML.BatchNorm.Tests.Networks.Inference;

/// <summary>
/// The layers in inference mode written down as their formulas stand, in double, one value after the other, channels
/// first: what serving is compared with.
/// </summary>
static class NaiveNetwork
{
    public static double[] Predict(Network network, NetworkState state, ReadOnlySpan<float> row)
    {
        double[] features = Sample.Widen(row);
        var values = new List<double[]>();
        foreach (NetworkNode node in network.Nodes)
        {
            double[][] inputs = [.. node.Inputs.Select(value => value < 0 ? features : values[value])];
            values.Add(node.Layer switch
            {
                AddLayer => [.. inputs[0].Select((_, i) => inputs.Sum(input => input[i]))],
                ConcatLayer => [.. inputs.SelectMany(input => input)],
                MultiplyLayer =>
                    [.. inputs[0].Select((value, i) => value * inputs[1][i / (inputs[0].Length / inputs[1].Length)])],
                _ => Layer(node, state.TryGet(node.Path), inputs[0]),
            });
        }
        return values.LastOrDefault(features);
    }

    public static double Activation(ActivationLayer layer, double x) => layer.Function switch
    {
        BatchNorm.Activation.ReLU => x > 0 ? x : 0,
        BatchNorm.Activation.LeakyReLU => x > 0 ? x : (layer.NegativeSlope ?? 0.3) * x,
        BatchNorm.Activation.Gelu => x * Erfc(-x / Math.Sqrt(2)) / 2,
        BatchNorm.Activation.Sigmoid => 1 / (1 + Math.Exp(-x)),
        BatchNorm.Activation.SiLU => x / (1 + Math.Exp(-x)),
        BatchNorm.Activation.HardSwish => x * Math.Clamp(x + 3, 0, 6) / 6,
        BatchNorm.Activation.HardSigmoid => Math.Clamp(x + 3, 0, 6) / 6,
        BatchNorm.Activation.ReLU6 => Math.Clamp(x, 0, 6),
        BatchNorm.Activation.Tanh => Math.Tanh(x),
        _ => throw new NotSupportedException(layer.Kind),
    };

    static double[] Layer(NetworkNode node, LayerState? state, double[] x) => node.Layer switch
    {
        DenseLayer => Dense(state!, x, node.Output.Size),
        Conv2DLayer layer => Convolution(state!, x, node, layer),
        BatchNormalizationLayer layer => Normalization(state!.BatchNormalization!, layer, node.Input, x),
        ActivationLayer layer => Array.ConvertAll(x, value => Activation(layer, value)),
        Pool2DLayer layer => Pool(x, node, layer),
        GlobalAveragePool2DLayer => Averages(x, node.Input),
        _ => x,
    };

    static double[] Dense(LayerState state, double[] x, int units)
    {
        double[] y = new double[units];
        for (int unit = 0; unit < units; unit++)
        {
            y[unit] = state.Bias.IsEmpty ? 0 : state.Bias[unit];
            for (int i = 0; i < x.Length; i++)
                y[unit] += state.Kernel[unit * x.Length + i] * x[i];
        }
        return y;
    }

    static double[] Convolution(LayerState state, double[] x, NetworkNode node, Conv2DLayer layer)
    {
        double[] y = new double[node.Output.Size];
        int next = 0, channels = node.Input[0] / layer.Groups, groupFilters = layer.Filters / layer.Groups;
        Padding2D padding = layer.Window.On(node.Input).Padding;
        int kernelHeight = layer.KernelSize.Height, kernelWidth = layer.KernelSize.Width;
        ForEachPlace(node.Output, (filter, i, j) =>
        {
            double sum = state.Bias.IsEmpty ? 0 : state.Bias[filter];
            for (int c = 0; c < channels; c++)
            {
                for (int h = 0; h < kernelHeight; h++)
                {
                    for (int w = 0; w < kernelWidth; w++)
                        sum += state.Kernel[((filter * channels + c) * kernelHeight + h) * kernelWidth + w]
                            * At(
                                x, node.Input, filter / groupFilters * channels + c,
                                i * layer.Stride.Height + h * layer.Dilation.Height - padding.Top,
                                j * layer.Stride.Width + w * layer.Dilation.Width - padding.Left, 0);
                }
            }
            y[next++] = sum;
        });
        return y;
    }

    static double[] Pool(double[] x, NetworkNode node, Pool2DLayer layer)
    {
        double[] y = new double[node.Output.Size];
        int next = 0;
        Size2D stride = layer.Stride ?? layer.PoolSize, size = layer.PoolSize;
        bool isMax = layer.Function == Pooling.Max;
        Padding2D padding = layer.Window.On(node.Input).Padding;
        ForEachPlace(node.Output, (c, i, j) =>
        {
            double result = isMax ? double.NegativeInfinity : 0;
            int counted = 0;
            for (int h = 0; h < size.Height; h++)
            {
                for (int w = 0; w < size.Width; w++)
                {
                    int line = i * stride.Height + h - padding.Top, place = j * stride.Width + w - padding.Left;
                    double value = At(x, node.Input, c, line, place, isMax ? double.NegativeInfinity : 0);
                    result = isMax ? Math.Max(result, value) : result + value;
                    (int lines, int places) = layer.CountIncludePad
                        ? (node.Input[1] + padding.Bottom, node.Input[2] + padding.Right)
                        : (node.Input[1], node.Input[2]);
                    if (line < lines && place < places && (layer.CountIncludePad || line >= 0 && place >= 0))
                        counted++;
                }
            }
            y[next++] = isMax ? result : result / counted;
        });
        return y;
    }

    static double[] Averages(double[] x, TensorShape image) =>
        [.. x.Chunk(image[1] * image[2]).Select(channel => channel.Average())];

    static double[] Normalization(
        BatchNormalizationState state, BatchNormalizationLayer layer, TensorShape shape, double[] x) =>
        new Naive(layer.Options, layer.Layout(shape, 1), []).Normalize(
            x, state.MovingMean.ToArray(), state.MovingVariance.ToArray(), state.Gamma.ToArray(), state.Beta.ToArray());

    static void ForEachPlace(TensorShape image, Action<int, int, int> action)
    {
        for (int c = 0; c < image[0]; c++)
        {
            for (int i = 0; i < image[1]; i++)
            {
                for (int j = 0; j < image[2]; j++)
                    action(c, i, j);
            }
        }
    }

    static double At(double[] x, TensorShape image, int c, int i, int j, double outside) =>
        i >= 0 && i < image[1] && j >= 0 && j < image[2] ? x[(c * image[1] + i) * image[2] + j] : outside;

    /// <summary>By its series below 2, by its continued fraction above.</summary>
    static double Erfc(double z)
    {
        if (z < 0)
            return 2 - Erfc(-z);
        if (z < 2)
        {
            double sum = 0, term = z;
            for (int n = 0; n < 80; n++, term *= -z * z / n)
                sum += term / (2 * n + 1);
            return 1 - 2 / Math.Sqrt(Math.PI) * sum;
        }
        double fraction = z;
        for (int k = 200; k > 0; k--)
            fraction = z + k / 2.0 / fraction;
        return Math.Exp(-z * z) / Math.Sqrt(Math.PI) / fraction;
    }
}
