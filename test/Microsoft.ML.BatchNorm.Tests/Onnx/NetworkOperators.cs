namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>Operators of ONNX's standard domain that the layers of a network become; computed in double.</summary>
static class NetworkOperators
{
    public static Tensor Gemm(OnnxNode node, Tensor[] x)
    {
        Assert.AreEqual(1, node.Integer("transB"));
        (int rows, int inputs, int units) = ((int)x[0].Shape[0], (int)x[0].Shape[1], (int)x[1].Shape[0]);
        CollectionAssert.AreEqual(new long[] { units, inputs }, x[1].Shape);
        CollectionAssert.AreEqual(new long[] { units }, x[2].Shape);
        return new Tensor(x[0].Element, [rows, units], Enumerable.Range(0, rows * units).Select(i =>
        {
            (int row, int unit) = (i / units, i % units);
            double sum = x[2].Values[unit];
            for (int k = 0; k < inputs; k++)
                sum += x[0].Values[row * inputs + k] * x[1].Values[unit * inputs + k];
            return sum;
        }));
    }

    public static Tensor Conv(OnnxNode node, Tensor[] x)
    {
        long[] kernel = x[1].Shape;
        CollectionAssert.AreEqual(kernel[2..], node.Integers("kernel_shape"));
        Assert.AreEqual(x[0].Shape[1], kernel[1]);
        var image = new Windows(node, x[0]);
        (int filters, int area) = ((int)kernel[0], (int)(kernel[2] * kernel[3]));
        return image.Map(filters, (row, filter, places) =>
        {
            double sum = x.Length > 2 ? x[2].Values[filter] : 0;
            for (int channel = 0; channel < kernel[1]; channel++)
            {
                foreach ((int place, int pixel) in places)
                {
                    double weight = x[1].Values[(filter * (int)kernel[1] + channel) * area + place];
                    sum += weight * image.Pixel(row, channel, pixel);
                }
            }
            return sum;
        });
    }

    public static Tensor MaxPool(OnnxNode node, Tensor x)
    {
        var image = new Windows(node, x);
        return image.Map((int)x.Shape[1], (row, channel, places) =>
            places.Max(place => image.Pixel(row, channel, place.Pixel)));
    }

    public static Tensor AveragePool(OnnxNode node, Tensor x)
    {
        Assert.AreEqual(1, node.Integer("count_include_pad"));
        var image = new Windows(node, x);
        long[] size = node.Integers("kernel_shape");
        return image.Map((int)x.Shape[1], (row, channel, places) =>
            places.Sum(place => image.Pixel(row, channel, place.Pixel)) / (size[0] * size[1]));
    }

    public static Tensor GlobalAveragePool(Tensor x)
    {
        int area = (int)(x.Shape[2] * x.Shape[3]);
        return new Tensor(
            x.Element, [x.Shape[0], x.Shape[1], 1, 1], x.Values.Chunk(area).Select(channel => channel.Average()));
    }

    /// <summary>Rows by all other dimensions: the operator's axis is 1 where nothing else is said.</summary>
    public static Tensor Flatten(Tensor x) => new(x.Element, [x.Shape[0], x.Values.Length / x.Shape[0]], x.Values);

    public static Tensor Reshape(Tensor x, Tensor shape)
    {
        long[] dimensions = [.. shape.Values.Select(size => (long)size)];
        Assert.AreEqual(-1, dimensions[0]);
        dimensions[0] = x.Values.Length / dimensions[1..].Aggregate((a, b) => a * b);
        return new Tensor(x.Element, dimensions, x.Values);
    }

    public static Tensor Softmax(OnnxNode node, Tensor x)
    {
        Assert.AreEqual(1, node.Integer("axis"));
        return x.With(x.Values.Chunk((int)x.Shape[1]).SelectMany(row =>
        {
            double[] powers = Array.ConvertAll(row, value => Math.Exp(value - row.Max()));
            return powers.Select(power => power / powers.Sum());
        }));
    }

    /// <summary>The place of the first greatest value of each row.</summary>
    public static Tensor ArgMax(OnnxNode node, Tensor x)
    {
        Assert.AreEqual((1, 1), (node.Integer("axis"), node.Integer("keepdims")));
        return new Tensor(
            Element.Int64, [x.Shape[0], 1],
            x.Values.Chunk((int)x.Shape[1]).Select(row => (double)Array.IndexOf(row, row.Max())));
    }

    /// <summary>Of one column each, side by side.</summary>
    public static Tensor Concat(OnnxNode node, Tensor[] x)
    {
        Assert.AreEqual(1, node.Integer("axis"));
        foreach (Tensor column in x)
            Assert.AreEqual(1, column.Shape[1]);
        return new Tensor(
            x[0].Element, [x[0].Shape[0], x.Length],
            Enumerable.Range(0, (int)x[0].Shape[0]).SelectMany(row => x.Select(column => column.Values[row])));
    }

    public static double Erf(double x)
    {
        double size = Math.Abs(x);
        if (size < 3)
        {
            double sum = 0, term = size;
            for (int n = 0; Math.Abs(term) > 1e-20; n++, term *= -size * size / n)
                sum += term / (2 * n + 1);
            return Math.Sign(x) * 2 / Math.Sqrt(Math.PI) * sum;
        }
        double fraction = 1;
        for (int n = 80; n > 0; n--)
            fraction = 1 + n / (2 * size * size) / fraction;
        return Math.Sign(x) * (1 - Math.Exp(-size * size) / (size * Math.Sqrt(Math.PI) * fraction));
    }

    /// <summary>The places that a window takes on images of [rows, channels, height, width].</summary>
    sealed class Windows
    {
        readonly Tensor x;
        readonly int height, width, outHeight, outWidth;
        readonly int[] size, stride, pads;

        public Windows(OnnxNode node, Tensor x)
        {
            this.x = x;
            (height, width) = ((int)x.Shape[2], (int)x.Shape[3]);
            size = Array.ConvertAll(node.Integers("kernel_shape"), value => (int)value);
            stride = Array.ConvertAll(node.Integers("strides"), value => (int)value);
            pads = Array.ConvertAll(node.Integers("pads"), value => (int)value);
            outHeight = (height + pads[0] + pads[2] - size[0]) / stride[0] + 1;
            outWidth = (width + pads[1] + pads[3] - size[1]) / stride[1] + 1;
        }

        public double Pixel(int row, int channel, int pixel) =>
            x.Values[(row * (int)x.Shape[1] + channel) * height * width + pixel];

        /// <summary>
        /// The function gets the places in the window that lie on the image, and the pixels that lie there.
        /// </summary>
        public Tensor Map(int channels, Func<int, int, List<(int Place, int Pixel)>, double> function)
        {
            var values = new List<double>();
            for (int row = 0; row < x.Shape[0]; row++)
            {
                for (int channel = 0; channel < channels; channel++)
                {
                    for (int at = 0; at < outHeight * outWidth; at++)
                        values.Add(function(row, channel, Places(at / outWidth, at % outWidth)));
                }
            }
            return new Tensor(x.Element, [x.Shape[0], channels, outHeight, outWidth], values);
        }

        List<(int Place, int Pixel)> Places(int top, int left)
        {
            List<(int, int)> places = [];
            for (int i = 0; i < size[0] * size[1]; i++)
            {
                int y = top * stride[0] - pads[0] + i / size[1], z = left * stride[1] - pads[1] + i % size[1];
                if (y >= 0 && y < height && z >= 0 && z < width)
                    places.Add((i, y * width + z));
            }
            return places;
        }
    }
}
