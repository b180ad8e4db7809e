namespace Microsoft.ML.BatchNorm.TorchSharp.Tests.Networks;

/// <summary>A convolution as its definition has it: plain loops, in double.</summary>
sealed class PlainConvolution(Conv2DLayer layer, TensorShape input, int rows)
{
    readonly TensorShape output = layer.OutputShape(input);

    public double[] Forward(double[] x, double[] kernel, double[] bias)
    {
        double[] y = [.. Enumerable.Range(0, rows * output.Size).Select(at => bias[at / Plane % layer.Filters])];
        Visit((inAt, kernelAt, outAt) => y[outAt] += x[inAt] * kernel[kernelAt]);
        return y;
    }

    public (double[] Input, double[] Kernel, double[] Bias) Backward(double[] x, double[] kernel, double[] dy)
    {
        double[] dx = new double[x.Length], dKernel = new double[kernel.Length], dBias = new double[layer.Filters];
        Visit((inAt, kernelAt, outAt) =>
        {
            dx[inAt] += dy[outAt] * kernel[kernelAt];
            dKernel[kernelAt] += dy[outAt] * x[inAt];
        });
        for (int at = 0; at < dy.Length; at++)
            dBias[at / Plane % layer.Filters] += dy[at];
        return (dx, dKernel, dBias);
    }

    int Plane => output[1] * output[2];

    /// <summary>All products: where the value of the input is, that of the kernel, and where it is added.</summary>
    void Visit(Action<int, int, int> product)
    {
        int channels = input[0], height = layer.KernelSize.Height, width = layer.KernelSize.Width;
        for (int outAt = 0; outAt < rows * output.Size; outAt++)
        {
            int left = outAt % output[2], top = outAt / output[2] % output[1];
            int filter = outAt / Plane % layer.Filters, row = outAt / output.Size;
            for (int at = 0; at < channels * height * width; at++)
            {
                int x = left * layer.Stride.Width - layer.Padding.Left + at % width;
                int y = top * layer.Stride.Height - layer.Padding.Top + at / width % height;
                int channel = at / (width * height);
                if (x >= 0 && x < input[2] && y >= 0 && y < input[1])
                    product(
                        ((row * channels + channel) * input[1] + y) * input[2] + x,
                        filter * channels * height * width + at, outAt);
            }
        }
    }
}
