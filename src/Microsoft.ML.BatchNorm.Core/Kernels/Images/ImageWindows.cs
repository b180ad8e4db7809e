using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.BatchNorm;

/// <summary>
/// The places of a window in an image <c>[channels, height, width]</c>, and copies of images with their padding, in
/// which every place lies inside.
/// </summary>
sealed unsafe class ImageWindows
{
    readonly int height, paddedHeight;

    public ImageWindows(TensorShape image, Window2D window)
    {
        window = window.On(image);
        Size2D places = window.Places(image)!.Value;
        (Channels, height, Width) = (image[0], image[1], image[2]);
        (Size, Stride, Padding, Dilation, _) = window;
        (PlaceLines, LinePlaces) = places;
        long[] padded = window.Padded(image);
        (paddedHeight, PaddedWidth) = (checked((int)padded[1]), checked((int)padded[2]));
        PaddedChannel = checked(paddedHeight * PaddedWidth);
    }

    public int Channels { get; }

    /// <summary>Height and width of the window.</summary>
    public Size2D Size { get; }

    public Size2D Stride { get; }

    /// <summary>The layer's padding, with <see cref="Padding2D.Same"/> resolved; windows may see beyond it.</summary>
    public Padding2D Padding { get; }

    /// <summary>The lines and columns from one element that the window sees to the next.</summary>
    public Size2D Dilation { get; }

    /// <summary>The number of places from top to bottom.</summary>
    public int PlaceLines { get; }

    /// <summary>The number of places from left to right.</summary>
    public int LinePlaces { get; }

    public int Places => PlaceLines * LinePlaces;

    /// <summary>The number of values in the window, over all channels.</summary>
    public int Seen => checked(Channels * Size.Height * Size.Width);

    /// <summary>From one line of a channel to the next.</summary>
    public int Width { get; }

    /// <summary>From one line to the next in a padded channel.</summary>
    public int PaddedWidth { get; }

    /// <summary>The floats of a padded channel, which has all that a window sees.</summary>
    public int PaddedChannel { get; }

    /// <summary>The number of values of a channel.</summary>
    public int Channel => height * Width;

    /// <summary>
    /// From the window's first element to another one in a padded channel; the window's place adds
    /// <see cref="OffsetOf(int)"/>.
    /// </summary>
    public int OffsetOf(int i, int j) => i * Dilation.Height * PaddedWidth + j * Dilation.Width;

    /// <summary>Where the window's first element is in a padded channel, at the first place of a line of places.</summary>
    public int OffsetOf(int placeLine) => placeLine * Stride.Height * PaddedWidth;

    /// <summary>The floats of padded channels, with those that kernels may touch after the last one.</summary>
    public int Room(int channels) => Simd.RoundUp(checked(channels * PaddedChannel + StridedLine.Reach));

    /// <summary>
    /// How many of the window's elements lie in the image at each place, or with <paramref name="withPadding"/> in the
    /// image and its padding.
    /// </summary>
    public IEnumerable<int> Counts(bool withPadding)
    {
        for (int line = 0; line < PlaceLines; line++)
        {
            int lines = Inside(
                line * Stride.Height - Padding.Top, Size.Height, Dilation.Height, height, Padding.Top, Padding.Bottom,
                withPadding);
            for (int place = 0; place < LinePlaces; place++)
            {
                yield return lines * Inside(
                    place * Stride.Width - Padding.Left, Size.Width, Dilation.Width, Width, Padding.Left,
                    Padding.Right, withPadding);
            }
        }
    }

    /// <summary>Copies channels and fills what is around them.</summary>
    public void Pad(float* image, int channels, float* padded, float fill)
    {
        int behind = PaddedWidth - Padding.Left - Width, top = Padding.Top * PaddedWidth;
        for (int channel = 0; channel < channels; channel++, image += Channel, padded += PaddedChannel)
        {
            new Span<float>(padded, top).Fill(fill);
            for (int line = 0; line < height; line++)
            {
                float* target = padded + top + line * PaddedWidth;
                new Span<float>(target, Padding.Left).Fill(fill);
                Copy(image + line * Width, target + Padding.Left);
                new Span<float>(target + Padding.Left + Width, behind).Fill(fill);
            }
            int end = top + height * PaddedWidth;
            new Span<float>(padded + end, PaddedChannel - end).Fill(fill);
        }
    }

    /// <summary>Copies padded channels without their padding.</summary>
    public void Unpad(float* padded, int channels, float* image)
    {
        for (int channel = 0; channel < channels; channel++, image += Channel, padded += PaddedChannel)
        {
            float* source = padded + Padding.Top * PaddedWidth + Padding.Left;
            for (int line = 0; line < height; line++)
                Copy(source + line * PaddedWidth, image + line * Width);
        }
    }

    void Copy(float* from, float* to) => new ReadOnlySpan<float>(from, Width).CopyTo(new Span<float>(to, Width));

    static int Inside(int first, int size, int dilation, int image, int before, int behind, bool withPadding)
    {
        return withPadding ? Before(image + (long)behind) - Before(-before) : Before(image) - Before(0);

        // How many of the window's elements lie before a line or column.
        int Before(long end) => (int)Math.Clamp((end - first + dilation - 1) / dilation, 0, size);
    }
}

/// <summary>Every n-th float of a line of memory, sixteen at a time.</summary>
static unsafe class StridedLine
{
    /// <summary>The most floats that a load touches from its first one on, if there are fewer values.</summary>
    public const int Reach = 2 * Simd.Floats;

    /// <summary>
    /// The next values, as many as a vector has. Those from <paramref name="count"/> on, if there are that few, are
    /// arbitrary, and not read where they could lie far away.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source, int stride, int count) => stride switch
    {
        1 => Vector512.Load(source),
        // The lower half of each pair.
        2 when BitConverter.IsLittleEndian => Vector512.Narrow(
            Vector512.Load((ulong*)source), Vector512.Load((ulong*)(source + Simd.Floats))).AsSingle(),
        _ => Gather(source, stride, Math.Min(count, Simd.Floats)),
    };

    /// <summary>Adds the first <paramref name="count"/> values of a line to every n-th float.</summary>
    /// <remarks>Up to a vector of the target may be read and written back unchanged.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(float* source, int count, float* target, int stride)
    {
        if (stride == 1)
        {
            int i = 0;
            for (; i <= count - Simd.Floats; i += Simd.Floats)
                (Vector512.Load(target + i) + Vector512.Load(source + i)).Store(target + i);
            if (i < count)
            {
                Vector512<float> inside =
                    Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count - i)).AsSingle();
                (Vector512.Load(target + i) + (Vector512.Load(source + i) & inside)).Store(target + i);
            }
            return;
        }
        for (int i = 0; i < count; i++)
            target[(nint)i * stride] += source[i];
    }

    static Vector512<float> Gather(float* source, int stride, int count)
    {
        Vector512<float> values = default;
        for (int i = 0; i < count; i++)
            ((float*)&values)[i] = source[(nint)i * stride];
        return values;
    }
}
