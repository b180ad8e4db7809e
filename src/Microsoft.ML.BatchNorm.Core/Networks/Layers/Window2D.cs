namespace Microsoft.ML.BatchNorm;

/// <summary>How a window moves over an image of <c>[channels, height, width]</c>.</summary>
readonly record struct Window2D(Size2D Size, Size2D Stride, Size2D Padding)
{
    /// <summary>The number of places the window takes, or null where the image is smaller than it.</summary>
    public Size2D? Places(TensorShape image)
    {
        int height = image[1] + 2 * Padding.Height - Size.Height, width = image[2] + 2 * Padding.Width - Size.Width;
        return height < 0 || width < 0 ? null : (height / Stride.Height + 1, width / Stride.Width + 1);
    }

    public string Needs =>
        $"[channels, height, width] with room for a window of {Size} and a padding of {Padding}";
}
