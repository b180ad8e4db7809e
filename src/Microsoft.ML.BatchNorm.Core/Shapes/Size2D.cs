using System.Text.Json;
using System.Text.Json.Serialization;

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

/// <summary>Rows and columns around an image, on each of its sides.</summary>
/// <param name="Top">Rows above, at least 0.</param>
/// <param name="Left">Columns at the left, at least 0.</param>
/// <param name="Bottom">Rows below, at least 0.</param>
/// <param name="Right">Columns at the right, at least 0.</param>
/// <remarks>
/// One number converts to as much on all sides (PyTorch's <c>padding=1</c>), and a <see cref="Size2D"/> to rows above and
/// below and columns at both sides.
/// </remarks>
[JsonConverter(typeof(Padding2DConverter))]
public readonly record struct Padding2D(int Top, int Left, int Bottom, int Right)
{
    /// <summary>
    /// As much as TensorFlow and Keras add with <c>padding="same"</c>: the output has ⌈height / stride⌉ rows and
    /// ⌈width / stride⌉ columns, and where the padding is odd, the greater part is below and at the right. How much that
    /// is follows from the size of the image.
    /// </summary>
    public static Padding2D Same { get; } = new(0, 0, 0, 0) { IsSame = true };

    /// <summary>Whether it is <see cref="Same"/>; the four numbers are 0 then.</summary>
    public bool IsSame { get; private init; }

    /// <summary>As much on all sides.</summary>
    public static implicit operator Padding2D(int size) => new(size, size, size, size);

    /// <summary>Rows above and below, and columns at both sides.</summary>
    public static implicit operator Padding2D(Size2D size) => new(size.Height, size.Width, size.Height, size.Width);

    /// <summary>Rows above and below, and columns at both sides.</summary>
    public static implicit operator Padding2D((int Height, int Width) size) => (Size2D)size;

    internal bool IsSymmetric => Top == Bottom && Left == Right && !IsSame;

    internal bool IsZero => this == default;

    internal Padding2D CheckNotNegative(string name) =>
        Math.Min(Math.Min(Top, Left), Math.Min(Bottom, Right)) >= 0
            ? this
            : throw Check.OutOfRange(this, name, "at least 0 on each side");

    /// <summary>Height × width, or all four sides where they differ, or <c>same</c>.</summary>
    public override string ToString() =>
        IsSame ? "same" : IsSymmetric ? $"{Top}×{Left}" : $"(top {Top}, left {Left}, bottom {Bottom}, right {Right})";
}

/// <summary>
/// In files a padding is <c>{"height":…,"width":…}</c>, the four sides where they differ, or <c>"same"</c>.
/// </summary>
sealed class Padding2DConverter : JsonConverter<Padding2D>
{
    public override Padding2D Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
            return reader.ValueTextEquals("same"u8) ? Padding2D.Same : throw new JsonException("The only padding with a name is \"same\".");
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException("A padding is \"same\" or an object.");
        int[] values = new int[Names.Length];
        int seen = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            int index = Array.IndexOf(Names, reader.GetString());
            if (index < 0 || (seen & 1 << index) != 0 || !reader.Read() || reader.TokenType != JsonTokenType.Number)
                throw new JsonException("A padding has its sides, and each of them once.");
            values[index] = reader.GetInt32();
            seen |= 1 << index;
        }
        return seen switch
        {
            0b11 => new Size2D(values[0], values[1]),
            0b111100 => new Padding2D(values[2], values[3], values[4], values[5]),
            _ => throw new JsonException("A padding has a height and a width, or four sides."),
        };
    }

    public override void Write(Utf8JsonWriter writer, Padding2D padding, JsonSerializerOptions options)
    {
        if (padding.IsSame)
        {
            writer.WriteStringValue("same"u8);
            return;
        }
        int[] values = [padding.Top, padding.Left, padding.Top, padding.Left, padding.Bottom, padding.Right];
        writer.WriteStartObject();
        for (int i = padding.IsSymmetric ? 0 : 2; i < (padding.IsSymmetric ? 2 : Names.Length); i++)
            writer.WriteNumber(Names[i], values[i]);
        writer.WriteEndObject();
    }

    static string[] Names { get; } = ["height", "width", "top", "left", "bottom", "right"];
}

/// <summary>How a window moves over an image of <c>[channels, height, width]</c>.</summary>
/// <param name="Size">The elements that the window sees in each direction.</param>
/// <param name="Stride">How far it moves at a time.</param>
/// <param name="Padding">What is around the image.</param>
/// <param name="Dilation">The distance between elements that it sees; 1 for neighbors.</param>
/// <param name="IsCeiled">
/// Whether a last window that reaches beyond the padding counts as a place, if it begins inside the image or the padding
/// before it (PyTorch's <c>ceil_mode</c>).
/// </param>
readonly record struct Window2D(Size2D Size, Size2D Stride, Padding2D Padding, Size2D Dilation, bool IsCeiled = false)
{
    /// <summary>The window with the padding that <see cref="Padding2D.Same"/> means for an image.</summary>
    public Window2D On(TensorShape image)
    {
        if (!Padding.IsSame)
            return this;
        int height = SameOf(image[1], Size.Height, Stride.Height, Dilation.Height);
        int width = SameOf(image[2], Size.Width, Stride.Width, Dilation.Width);
        return this with { Padding = new(height / 2, width / 2, height - height / 2, width - width / 2) };
    }

    /// <summary>The number of places of the window, or null if the window is larger than the padded image.</summary>
    public Size2D? Places(TensorShape image)
    {
        Padding2D around = On(image).Padding;
        return PlacesIn(image[1], Size.Height, Stride.Height, around.Top, around.Bottom, Dilation.Height) is { } height
            && PlacesIn(image[2], Size.Width, Stride.Width, around.Left, around.Right, Dilation.Width) is { } width
                ? (height, width)
                : null;
    }

    /// <summary>The padding of an image, and behind it what the last windows see beyond it.</summary>
    public Padding2D Around(TensorShape image)
    {
        Padding2D padding = On(image).Padding;
        Size2D places = Places(image)!.Value;
        return padding with
        {
            Bottom = Math.Max(padding.Bottom, Behind(
                image[1], places.Height, Size.Height, Stride.Height, padding.Top, Dilation.Height)),
            Right = Math.Max(padding.Right, Behind(
                image[2], places.Width, Size.Width, Stride.Width, padding.Left, Dilation.Width)),
        };
    }

    /// <summary>The shape of the image with its padding, and with what the last windows see beyond it.</summary>
    public long[] Padded(TensorShape image)
    {
        Padding2D around = Around(image);
        return [image[0], image[1] + (long)around.Top + around.Bottom, image[2] + (long)around.Left + around.Right];
    }

    public string Needs =>
        $"[channels, height, width] with room for a window of {Size} and a padding of {Padding}"
        + (Dilation == 1 ? "" : $", dilated by {Dilation}");

    static int Reached(int size, int dilation) => (int)Math.Min((size - 1L) * dilation + 1, int.MaxValue);

    /// <summary>How much the last place sees behind the image; less than nothing if it ends inside.</summary>
    static int Behind(int image, int places, int size, int stride, int before, int dilation) =>
        (int)((places - 1L) * stride + Reached(size, dilation) - before - image);

    static int SameOf(int image, int size, int stride, int dilation) => (int)Math.Clamp(
        ((image - 1L) / stride) * stride + Reached(size, dilation) - image, 0, int.MaxValue);

    int? PlacesIn(int image, int size, int stride, int before, int behind, int dilation)
    {
        long room = image + (long)before + behind - Reached(size, dilation);
        if (room is < 0 or >= int.MaxValue)
            return null;
        long places = room / stride + 1;
        return (int)(IsCeiled && room % stride > 0 && places * stride < image + (long)before ? places + 1 : places);
    }
}
