namespace Microsoft.ML.BatchNorm.Tests.Networks;

/// <summary>
/// Convolutions and pools of rows of images, forward and backward, written down as their formulas stand, in double.
/// </summary>
sealed class NaiveImages(NetworkNode node, int rows)
{
    readonly TensorShape image = node.Input, output = node.Output;

    public double[] Convolve(LayerState state, double[] x)
    {
        double[] y = new double[rows * output.Size];
        ForEachPlace((row, filter, line, place, at) =>
        {
            y[at] = state.Bias.IsEmpty ? 0 : state.Bias[filter];
            ForEachSeen(row, filter, line, place, (from, weight) => y[at] += x[from] * state.Kernel[weight]);
        });
        return y;
    }

    public double[] ConvolveBack(LayerState state, double[] x, double[] dy, double[] kernel, double[] bias)
    {
        double[] dx = new double[x.Length];
        ForEachPlace((row, filter, line, place, at) =>
        {
            if (bias.Length > 0)
                bias[filter] += dy[at];
            ForEachSeen(row, filter, line, place, (from, weight) =>
            {
                kernel[weight] += dy[at] * x[from];
                dx[from] += dy[at] * state.Kernel[weight];
            });
        });
        return dx;
    }

    public double[] Pool(Pool2DLayer layer, double[] x)
    {
        double[] y = new double[rows * output.Size];
        ForEachPlace((row, channel, line, place, at) =>
        {
            List<int> window = Window(layer, row, channel, line, place);
            y[at] = layer.Function == Pooling.Max
                ? window.Max(from => x[from])
                : window.Sum(from => x[from]) / (layer.PoolSize.Height * layer.PoolSize.Width);
        });
        return y;
    }

    public double[] PoolBack(Pool2DLayer layer, double[] x, double[] dy)
    {
        double[] dx = new double[x.Length];
        ForEachPlace((row, channel, line, place, at) =>
        {
            List<int> window = Window(layer, row, channel, line, place);
            if (layer.Function == Pooling.Max)
                dx[window.MaxBy(from => x[from])] += dy[at];
            else
                window.ForEach(from => dx[from] += dy[at] / (layer.PoolSize.Height * layer.PoolSize.Width));
        });
        return dx;
    }

    public double[] Average(double[] x) => [.. x.Chunk(image[1] * image[2]).Select(channel => channel.Average())];

    public double[] AverageBack(double[] dy) =>
        [.. dy.SelectMany(value => Enumerable.Repeat(value / (image[1] * image[2]), image[1] * image[2]))];

    void ForEachPlace(Action<int, int, int, int, int> action)
    {
        for (int at = 0; at < rows * output.Size; at++)
        {
            int place = at % output[2], line = at / output[2] % output[1];
            int channel = at / (output[1] * output[2]) % output[0];
            action(at / output.Size, channel, line, place, at);
        }
    }

    void ForEachSeen(int row, int filter, int line, int place, Action<int, int> action)
    {
        var layer = (Conv2DLayer)node.Layer;
        Size2D size = layer.KernelSize;
        for (int channel = 0; channel < image[0]; channel++)
        {
            for (int i = 0; i < size.Height; i++)
            {
                for (int j = 0; j < size.Width; j++)
                {
                    int from = At(row, channel, line * layer.Stride.Height + i - layer.Padding.Height,
                        place * layer.Stride.Width + j - layer.Padding.Width);
                    if (from >= 0)
                        action(from, ((filter * image[0] + channel) * size.Height + i) * size.Width + j);
                }
            }
        }
    }

    /// <summary>What a pool sees at a place, without padding, in the order that decides between equals.</summary>
    List<int> Window(Pool2DLayer layer, int row, int channel, int line, int place)
    {
        var seen = new List<int>();
        Size2D stride = layer.Stride ?? layer.PoolSize;
        for (int i = 0; i < layer.PoolSize.Height; i++)
        {
            for (int j = 0; j < layer.PoolSize.Width; j++)
            {
                seen.Add(At(
                    row, channel, line * stride.Height + i - layer.Padding.Height,
                    place * stride.Width + j - layer.Padding.Width));
            }
        }
        seen.RemoveAll(from => from < 0);
        return seen;
    }

    /// <summary>The index of a value, or −1 beside the image.</summary>
    int At(int row, int channel, int line, int place) =>
        line >= 0 && line < image[1] && place >= 0 && place < image[2]
            ? ((row * image[0] + channel) * image[1] + line) * image[2] + place
            : -1;
}
