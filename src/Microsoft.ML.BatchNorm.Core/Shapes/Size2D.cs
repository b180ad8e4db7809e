namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A height and a width in elements, as a kernel, a stride or a padding has. One number converts to a square.
/// </summary>
/// <param name="Height">The height.</param>
/// <param name="Width">The width.</param>
public readonly record struct Size2D(int Height, int Width)
{
    /// <summary>A square of that side.</summary>
    public static implicit operator Size2D(int side) => new(side, side);

    /// <summary>A height and a width.</summary>
    public static implicit operator Size2D((int Height, int Width) size) => new(size.Height, size.Width);

    /// <summary>Height × width.</summary>
    public override string ToString() => $"{Height}×{Width}";

    internal Size2D CheckAtLeast(int least, string name) =>
        Height >= least && Width >= least
            ? this
            : throw Check.OutOfRange(this, name, $"at least {least} in both directions");
}

/// <summary>How a window moves over an image of <c>[channels, height, width]</c>.</summary>
readonly record struct Window2D(Size2D Size, Size2D Stride, Size2D Padding)
{
    /// <summary>The number of places of the window, or null if the window is larger than the padded image.</summary>
    public Size2D? Places(TensorShape image) =>
        Places(image[1], Size.Height, Stride.Height, Padding.Height) is { } height
        && Places(image[2], Size.Width, Stride.Width, Padding.Width) is { } width
            ? (height, width)
            : null;

    static int? Places(int image, int size, int stride, int padding)
    {
        long room = image + 2L * padding - size;
        return room is >= 0 and < int.MaxValue ? (int)(room / stride) + 1 : null;
    }

    /// <summary>Channels, height and width of an image with the padding around it.</summary>
    public long[] Padded(TensorShape image) =>
        [image[0], image[1] + 2L * Padding.Height, image[2] + 2L * Padding.Width];

    public string Needs =>
        $"[channels, height, width] with room for a window of {Size} and a padding of {Padding}";
}
