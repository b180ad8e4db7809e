namespace Microsoft.ML.BatchNorm;

/// <summary>
/// A height and a width in elements, as of a kernel, a stride or a padding. One number stands for both.
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
