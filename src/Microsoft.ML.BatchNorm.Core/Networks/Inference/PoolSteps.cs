using Microsoft.ML.BatchNorm.Kernels;

namespace Microsoft.ML.BatchNorm.Inference;

/// <summary>The maximum or mean of each window, all channels of a place at once.</summary>
sealed unsafe class PoolStep(Pool2DLayer layer, TensorShape image, TensorShape output)
    : ServingStep(image.Size, output.Size)
{
    readonly Window2D window = layer.Window;
    readonly bool isMax = layer.Function == Pooling.Max;
    readonly int channels = image[0], height = image[1], width = image[2];

    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, x += Inputs)
        {
            for (int i = 0; i < output[1]; i++)
            {
                int top = i * window.Stride.Height - window.Padding.Height;
                for (int j = 0; j < output[2]; j++, y += channels)
                    Place(x, top, j * window.Stride.Width - window.Padding.Width, y);
            }
        }
    }

    void Place(float* x, int top, int left, float* target)
    {
        int bottom = Math.Min(top + window.Size.Height, height), right = Math.Min(left + window.Size.Width, width);
        top = Math.Max(top, 0);
        left = Math.Max(left, 0);
        new Span<float>(target, channels).Fill(isMax ? float.NegativeInfinity : 0);
        for (int i = top; i < bottom; i++)
        {
            for (int j = left; j < right; j++)
            {
                float* source = x + ((nint)i * width + j) * channels;
                if (isMax)
                    ChannelSums.Max(source, target, channels);
                else
                    ChannelSums.Add(source, target, channels);
            }
        }
        if (!isMax)
            ChannelSums.Divide(target, window.Size.Height * window.Size.Width, channels);
    }
}

/// <summary>The mean of each channel.</summary>
sealed unsafe class GlobalAverageStep(TensorShape image) : ServingStep(image.Size, image[0])
{
    readonly int channels = image[0], places = image[1] * image[2];

    public override void Run(float* x, float* y, int rows, float* work)
    {
        for (int row = 0; row < rows; row++, y += channels)
        {
            new Span<float>(y, channels).Clear();
            for (int place = 0; place < places; place++, x += channels)
                ChannelSums.Add(x, y, channels);
            ChannelSums.Divide(y, places, channels);
        }
    }
}
