namespace Microsoft.ML.BatchNorm.Kernels;

/// <summary>
/// The places that a window takes in an image <c>[channels, height, width]</c>, and copies of images with their padding
/// around them, in which every place is inside.
/// </summary>
sealed unsafe class ImageWindows
{
    readonly int height, width;
    readonly Size2D padding;

    public ImageWindows(TensorShape image, Window2D window)
    {
        Size2D places = window.Places(image)!.Value;
        (Channels, height, width) = (image[0], image[1], image[2]);
        (Size, Stride, padding) = window;
        (PlaceLines, LinePlaces) = places;
        PaddedWidth = width + 2 * padding.Width;
        PaddedChannel = checked((height + 2 * padding.Height) * PaddedWidth);
        Slack = StridedLine.Reach(Stride.Width);
    }

    public int Channels { get; }

    /// <summary>Height and width of the window.</summary>
    public Size2D Size { get; }

    public Size2D Stride { get; }

    /// <summary>The places one below the other.</summary>
    public int PlaceLines { get; }

    /// <summary>The places side by side.</summary>
    public int LinePlaces { get; }

    public int Places => PlaceLines * LinePlaces;

    /// <summary>The values that the window shows of all channels.</summary>
    public int Seen => Channels * Size.Height * Size.Width;

    public int PaddedWidth { get; }

    /// <summary>The floats of a channel with its padding.</summary>
    public int PaddedChannel { get; }

    /// <summary>The floats that kernels may touch behind padded channels.</summary>
    public int Slack { get; }

    /// <summary>The values of a channel.</summary>
    public int Channel => height * width;

    /// <summary>Copies channels into their padding.</summary>
    public void Pad(float* image, int channels, float* padded, float fill)
    {
        for (int channel = 0; channel < channels; channel++, image += Channel, padded += PaddedChannel)
        {
            int top = padding.Height * PaddedWidth;
            new Span<float>(padded, top).Fill(fill);
            for (int line = 0; line < height; line++)
            {
                float* target = padded + top + line * PaddedWidth;
                new Span<float>(target, padding.Width).Fill(fill);
                new ReadOnlySpan<float>(image + line * width, width).CopyTo(new Span<float>(target + padding.Width, width));
                new Span<float>(target + padding.Width + width, padding.Width).Fill(fill);
            }
            new Span<float>(padded + PaddedChannel - top, top).Fill(fill);
        }
    }

    /// <summary>Copies channels out of their padding.</summary>
    public void Unpad(float* padded, int channels, float* image)
    {
        for (int channel = 0; channel < channels; channel++, image += Channel, padded += PaddedChannel)
        {
            float* source = padded + padding.Height * PaddedWidth + padding.Width;
            for (int line = 0; line < height; line++)
                new ReadOnlySpan<float>(source + line * PaddedWidth, width).CopyTo(new Span<float>(image + line * width, width));
        }
    }

    /// <summary>The index in its channel, without padding, of what the window shows first at a place's line.</summary>
    public int IndexOf(int placeLine) =>
        (placeLine * Stride.Height - padding.Height) * width - padding.Width;

    /// <summary>From one line of a channel to the next.</summary>
    public int Width => width;

    public Size2D Padding => padding;
}
