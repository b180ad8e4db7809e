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
                : window.Sum(from => x[from]) / Counted(layer, line, place);
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
                window.ForEach(from => dx[from] += dy[at] / Counted(layer, line, place));
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
        Padding2D padding = layer.Window.On(image).Padding;
        int seen = image[0] / layer.Groups, group = filter / (layer.Filters / layer.Groups);
        for (int channel = 0; channel < seen; channel++)
        {
            for (int i = 0; i < size.Height; i++)
            {
                for (int j = 0; j < size.Width; j++)
                {
                    int from = At(
                        row, group * seen + channel, line * layer.Stride.Height + i * layer.Dilation.Height - padding.Top,
                        place * layer.Stride.Width + j * layer.Dilation.Width - padding.Left);
                    if (from >= 0)
                        action(from, ((filter * seen + channel) * size.Height + i) * size.Width + j);
                }
            }
        }
    }

    /// <summary>What a pool sees at a place, without padding, in the order that decides between equals.</summary>
    List<int> Window(Pool2DLayer layer, int row, int channel, int line, int place)
    {
        List<int> seen = [.. Places(layer, line, place).Select(at => At(row, channel, at.Line, at.Place))];
        seen.RemoveAll(from => from < 0);
        return seen;
    }

    /// <summary>How many values a mean is of: those of the image, or those of the image and its padding.</summary>
    int Counted(Pool2DLayer layer, int line, int place)
    {
        Padding2D padding = layer.CountIncludePad ? layer.Window.On(image).Padding : 0;
        return Places(layer, line, place).Count(at =>
            at.Line >= -padding.Top && at.Line < image[1] + padding.Bottom
            && at.Place >= -padding.Left && at.Place < image[2] + padding.Right);
    }

    IEnumerable<(int Line, int Place)> Places(Pool2DLayer layer, int line, int place)
    {
        Size2D stride = layer.Stride ?? layer.PoolSize;
        Padding2D padding = layer.Window.On(image).Padding;
        return
            from i in Enumerable.Range(0, layer.PoolSize.Height)
            from j in Enumerable.Range(0, layer.PoolSize.Width)
            select (line * stride.Height + i - padding.Top, place * stride.Width + j - padding.Left);
    }

    /// <summary>The index of a value, or −1 beside the image.</summary>
    int At(int row, int channel, int line, int place) =>
        line >= 0 && line < image[1] && place >= 0 && place < image[2]
            ? ((row * image[0] + channel) * image[1] + line) * image[2] + place
            : -1;
}
