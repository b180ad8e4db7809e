using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>A packed kernel, its bias, and the activation behind them.</summary>
sealed unsafe class PackedProduct
{
    readonly PackedMatrix kernel;

    // On the pinned heap, so that its address stays; freed with this object.
    readonly float[] bias;
    readonly float* biasStart;
    readonly ActivationLayer? activation;

    /// <param name="kernel">One row of <paramref name="inputs"/> values an output.</param>
    /// <param name="inputs">The steps of a sum.</param>
    /// <param name="bias">One value an output.</param>
    /// <param name="activation">What follows, or null.</param>
    public PackedProduct(float[] kernel, int inputs, float[] bias, ActivationLayer? activation)
    {
        this.kernel = new PackedMatrix(inputs, bias.Length);
        fixed (float* source = kernel)
            this.kernel.PackTransposed(source, inputs);
        this.bias = GC.AllocateUninitializedArray<float>(bias.Length, pinned: true);
        bias.CopyTo(this.bias, 0);
        fixed (float* start = this.bias)
            biasStart = start;
        this.activation = activation;
    }

    public void Run(float* x, float* y, int rows)
    {
        int outputs = bias.Length;
        MatrixProduct.Multiply(x, kernel.Steps, rows, kernel, y, outputs, biasStart);
        if (activation is not null)
            ActivationMap.Run(activation.EffectiveFunction, activation.Slope, y, y, (nint)rows * outputs);
        GC.KeepAlive(bias);
    }
}

/// <summary>A dense layer.</summary>
sealed unsafe class DenseStep(PackedProduct product, int inputs, int units) : ServingStep(inputs, units)
{
    public override void Run(float* x, float* y, int rows, float* work) => product.Run(x, y, rows);
}

/// <summary>
/// A convolution as a product: what the window sees at each place, <c>[places, height × width × channels]</c>, times
/// the kernel. A window of one element at every place is the product with the image itself.
/// </summary>
sealed unsafe class ConvolutionStep(PackedProduct product, Window2D window, TensorShape image, TensorShape output)
    : ServingStep(image.Size, output.Size)
{
    /// <summary>What the windows of a block of places see stays in the second cache.</summary>
    const int BlockElements = 1 << 15;

    readonly int channels = image[0], height = image[1], width = image[2], filters = output[0];
    readonly int places = output[1] * output[2], placesPerLine = output[2];
    readonly int seen = window.Size.Height * window.Size.Width * image[0];
    readonly bool isPointwise = window == new Window2D(1, 1, 0);

    readonly int blockPlaces = Math.Clamp(
        BlockElements / (window.Size.Height * window.Size.Width * image[0]), 1, output[1] * output[2]);

    public override int Work => isPointwise ? 0 : blockPlaces * seen;

    public override void Run(float* x, float* y, int rows, float* work)
    {
        if (isPointwise)
        {
            product.Run(x, y, rows * places);
            return;
        }
        for (int row = 0; row < rows; row++, x += Inputs, y += Outputs)
        {
            for (int first = 0; first < places; first += blockPlaces)
            {
                int count = Math.Min(blockPlaces, places - first);
                for (int place = 0; place < count; place++)
                    Look(x, first + place, work + (nint)place * seen);
                product.Run(work, y + (nint)first * filters, count);
            }
        }
    }

    /// <summary>Copies what the window sees at a place, line after line; zeros beside the image.</summary>
    void Look(float* x, int place, float* target)
    {
        int top = place / placesPerLine * window.Stride.Height - window.Padding.Height;
        int left = place % placesPerLine * window.Stride.Width - window.Padding.Width;
        int from = Math.Max(left, 0), to = Math.Min(left + window.Size.Width, width);
        int line = window.Size.Width * channels;
        for (int i = top; i < top + window.Size.Height; i++, target += line)
        {
            var all = new Span<float>(target, line);
            if (i < 0 || i >= height || from >= to)
            {
                all.Clear();
                continue;
            }
            all[..((from - left) * channels)].Clear();
            var inside = new ReadOnlySpan<float>(x + ((nint)i * width + from) * channels, (to - from) * channels);
            inside.CopyTo(all[((from - left) * channels)..]);
            all[((to - left) * channels)..].Clear();
        }
    }
}
