namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>
/// A network written down as its formulas stand, in double, one value after the other: what an engine is compared with.
/// Batch normalization is the layer's own, in double.
/// </summary>
sealed class NaiveNetwork(Network network, NetworkState state)
{
    readonly List<double[]> values = [];
    double[] features = [];
    readonly Dictionary<string, ForwardPass> passes = [];

    /// <summary>
    /// The gradients by path and name, as the optimizer's moments are named; of every layer, frozen or not.
    /// </summary>
    public Dictionary<string, double[]> Gradients { get; } = [];

    /// <summary>Batch normalizations' states after the forward pass in training mode.</summary>
    public Dictionary<string, BatchNormalizationState> NextStates { get; } = [];

    /// <summary>Each convolution's input, and its output's gradient.</summary>
    public Dictionary<string, (double[] X, double[] Dy)> Convolved { get; } = [];

    public double[] Forward(double[] x, int rows, bool training)
    {
        values.Clear();
        features = x;
        foreach (NetworkNode node in network.Nodes)
            values.Add(Forward(node, [.. node.Inputs.Select(ValueAt)], rows, training));
        return values.LastOrDefault(x);
    }

    public double[] Backward(double[] dy, int rows)
    {
        double[] dx = new double[features.Length];
        double[][] gradients = [.. values.Select(value => new double[value.Length])];
        if (gradients.Length > 0)
            gradients[^1] = dy;
        for (int i = network.Nodes.Count - 1; i >= 0; i--)
        {
            NetworkNode node = network.Nodes[i];
            double[][] inputs = [.. node.Inputs.Select(ValueAt)];
            foreach ((int input, double[] gradient) in node.Inputs.Zip(Backward(node, inputs, gradients[i], rows)))
            {
                double[] sum = input < 0 ? dx : gradients[input];
                for (int k = 0; k < sum.Length; k++)
                    sum[k] += gradient[k];
            }
        }
        return gradients.Length == 0 ? dy : dx;
    }

    double[] ValueAt(int node) => node < 0 ? features : values[node];

    double[] Forward(NetworkNode node, double[][] inputs, int rows, bool training) => node.Layer switch
    {
        AddLayer => [.. Enumerable.Range(0, inputs[0].Length).Select(i => inputs.Sum(input => input[i]))],
        ConcatLayer => [.. Enumerable.Range(0, rows).SelectMany(
            row => inputs.SelectMany(input => input.Chunk(input.Length / rows).ElementAt(row)))],
        MultiplyLayer => [.. inputs[0].Select((value, i) => value * inputs[1][i / (inputs[0].Length / inputs[1].Length)])],
        _ => Forward(node, inputs[0], rows, training),
    };

    double[][] Backward(NetworkNode node, double[][] inputs, double[] dy, int rows)
    {
        switch (node.Layer)
        {
            case AddLayer:
                return [.. inputs.Select(_ => dy)];
            case ConcatLayer:
                double[][] parts = [.. inputs.Select(input => new double[input.Length])];
                int[] widths = [.. inputs.Select(input => input.Length / rows)];
                for (int i = 0; i < dy.Length; i++)
                {
                    int row = i / widths.Sum(), at = i % widths.Sum(), part = 0;
                    for (; at >= widths[part]; part++)
                        at -= widths[part];
                    parts[part][row * widths[part] + at] = dy[i];
                }
                return parts;
            case MultiplyLayer:
                double[] factors = new double[inputs[1].Length];
                for (int i = 0; i < dy.Length; i++)
                    factors[i / (dy.Length / factors.Length)] += dy[i] * inputs[0][i];
                return [[.. dy.Select((value, i) => value * inputs[1][i / (dy.Length / factors.Length)])], factors];
            default:
                return [Backward(node, inputs[0], dy, rows)];
        }
    }

    double[] Forward(NetworkNode node, double[] x, int rows, bool training)
    {
        switch (node.Layer)
        {
            case DenseLayer dense:
                return Dense(state[node.Path], dense.Units, x, rows);
            case Conv2DLayer:
                return new NaiveImages(node, rows).Convolve(state[node.Path], x);
            case Pool2DLayer pool:
                return new NaiveImages(node, rows).Pool(pool, x);
            case GlobalAveragePool2DLayer:
                return new NaiveImages(node, rows).Average(x);
            case BatchNormalizationLayer layer:
                double[] y = new double[x.Length];
                ForwardPass pass = BatchNormalization.Forward(
                    layer.Options, state[node.Path].BatchNormalization!, layer.Layout(node.Input, rows), x, y,
                    training);
                passes[node.Path] = pass;
                NextStates[node.Path] = pass.NextState;
                return y;
            case ActivationLayer activation:
                return Array.ConvertAll(x, value => NaiveActivation.Value(activation, value));
            case FlattenLayer:
            case DropoutLayer { Rate: 0 }:
                return x;
            default:
                throw new NotSupportedException(node.Layer.Kind);
        }
    }

    double[] Backward(NetworkNode node, double[] x, double[] dy, int rows)
    {
        switch (node.Layer)
        {
            case DenseLayer dense:
                return DenseBackward(node, dense.Units, x, dy, rows);
            case Conv2DLayer:
                return ConvolutionBackward(node, x, dy, rows);
            case Pool2DLayer pool:
                return new NaiveImages(node, rows).PoolBack(pool, x, dy);
            case GlobalAveragePool2DLayer:
                return new NaiveImages(node, rows).AverageBack(dy);
            case BatchNormalizationLayer layer:
                int channels = state[node.Path].BatchNormalization!.Channels;
                double[] dx = new double[x.Length], gamma = new double[channels], beta = new double[channels];
                BatchNormalization.Backward(passes[node.Path], x, dy, dx, gamma, beta);
                if (layer.Options.Scale)
                    Gradients[$"{node.Path}/gamma"] = Penalized(
                        layer.Options.GammaRegularizer, state[node.Path].BatchNormalization!.Gamma, gamma);
                if (layer.Options.Center)
                    Gradients[$"{node.Path}/beta"] = Penalized(
                        layer.Options.BetaRegularizer, state[node.Path].BatchNormalization!.Beta, beta);
                return dx;
            case ActivationLayer activation:
                return [.. x.Zip(dy, (value, gradient) => NaiveActivation.Slope(activation, value) * gradient)];
            default:
                return dy;
        }
    }

    static double[] Penalized(Regularizer? regularizer, ReadOnlySpan<float> weights, double[] gradient)
    {
        if (regularizer is null)
            return gradient;
        float[] added = new float[gradient.Length];
        regularizer.AddGradient(weights, added);
        return [.. gradient.Zip(added, (value, more) => value + more)];
    }

    static double[] Dense(LayerState layer, int units, double[] x, int rows)
    {
        int width = x.Length / rows;
        double[] y = new double[rows * units];
        for (int row = 0; row < rows; row++)
        {
            for (int unit = 0; unit < units; unit++)
            {
                double sum = layer.Bias.IsEmpty ? 0 : layer.Bias[unit];
                for (int i = 0; i < width; i++)
                    sum += x[row * width + i] * layer.Kernel[unit * width + i];
                y[row * units + unit] = sum;
            }
        }
        return y;
    }

    double[] ConvolutionBackward(NetworkNode node, double[] x, double[] dy, int rows)
    {
        LayerState layer = state[node.Path];
        double[] kernel = new double[layer.Kernel.Length], bias = new double[layer.Bias.Length];
        double[] dx = new NaiveImages(node, rows).ConvolveBack(layer, x, dy, kernel, bias);
        Gradients[$"{node.Path}/kernel"] = kernel;
        Convolved[node.Path] = (x, dy);
        if (bias.Length > 0)
            Gradients[$"{node.Path}/bias"] = bias;
        return dx;
    }

    double[] DenseBackward(NetworkNode node, int units, double[] x, double[] dy, int rows)
    {
        LayerState layer = state[node.Path];
        int width = x.Length / rows;
        double[] kernel = new double[units * width], bias = new double[units], dx = new double[x.Length];
        for (int row = 0; row < rows; row++)
        {
            for (int unit = 0; unit < units; unit++)
            {
                double gradient = dy[row * units + unit];
                bias[unit] += gradient;
                for (int i = 0; i < width; i++)
                {
                    kernel[unit * width + i] += gradient * x[row * width + i];
                    dx[row * width + i] += gradient * layer.Kernel[unit * width + i];
                }
            }
        }
        Gradients[$"{node.Path}/kernel"] = kernel;
        if (!layer.Bias.IsEmpty)
            Gradients[$"{node.Path}/bias"] = bias;
        return dx;
    }
}
