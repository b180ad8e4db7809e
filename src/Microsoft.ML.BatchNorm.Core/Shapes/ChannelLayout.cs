namespace Microsoft.ML.BatchNorm;

/// <summary>
/// Where the channels of a dense, row-major array lie: <see cref="Outer"/> × <see cref="Channels"/> ×
/// <see cref="Inner"/>. The element of channel <c>c</c> at outer <c>o</c> and inner <c>i</c> has the index
/// <c>(o·Channels + c)·Inner + i</c>; a position is one pair (o, i), numbered <c>o·Inner + i</c>.
/// </summary>
/// <remarks>
/// Features <c>[N, C]</c> are N × C × 1; images <c>[N, C, H, W]</c> with axis 1 are N × C × H·W, and
/// <c>[N, H, W, C]</c> with axis −1 are N·H·W × C × 1.
/// </remarks>
public readonly record struct ChannelLayout
{
    const int LeastRun = 16;

    /// <summary>The layout of an input of the given shape, batch first.</summary>
    /// <param name="shape">At least two dimensions, each at least 1.</param>
    /// <param name="axis">The channel axis, negative from the end. Default: the last.</param>
    /// <exception cref="ArgumentException">
    /// The shape has fewer than two dimensions, or over 2³¹ − 1 elements.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">A dimension is below 1, or the axis does not exist.</exception>
    public ChannelLayout(ReadOnlySpan<int> shape, int axis = -1)
    {
        if (shape.Length < 2)
            throw new ArgumentException(
                $"Shape {Describe(shape)} must have at least two dimensions, the batch first.", nameof(shape));
        int channelAxis = AxisIn(axis, shape.Length);
        if (channelAxis < 0 || channelAxis >= shape.Length)
            throw new ArgumentOutOfRangeException(
                nameof(axis),
                $"Axis {axis} does not exist in shape {Describe(shape)}; it must be from {-shape.Length} to "
                + $"{shape.Length - 1}.");

        long outer = 1, inner = 1, count = 1;
        for (int d = 0; d < shape.Length; d++)
        {
            if (shape[d] < 1)
                throw new ArgumentOutOfRangeException(
                    nameof(shape), $"Shape {Describe(shape)} is empty: dimension {d} is {shape[d]}.");
            count *= shape[d];
            if (count > int.MaxValue)
                throw new ArgumentException(
                    $"Shape {Describe(shape)} has over {int.MaxValue} elements.", nameof(shape));
            if (d < channelAxis)
                outer *= shape[d];
            else if (d > channelAxis)
                inner *= shape[d];
        }
        (Rows, Outer, Channels, Inner) = (shape[0], (int)outer, shape[channelAxis], (int)inner);
    }

    /// <summary>An axis counted from the front, if it was counted from the end of so many.</summary>
    internal static int AxisIn(int axis, int rank) => axis < 0 ? axis + rank : axis;

    ChannelLayout(int rows, int outer, int channels, int inner) =>
        (Rows, Outer, Channels, Inner) = (rows, outer, channels, inner);

    /// <summary>The size of the batch axis, the first of the shape.</summary>
    public int Rows { get; }

    /// <summary>The product of the dimensions before the channel axis.</summary>
    public int Outer { get; }

    /// <summary>The size of the channel axis.</summary>
    public int Channels { get; }

    /// <summary>The product of the dimensions after the channel axis.</summary>
    public int Inner { get; }

    /// <summary>The number of elements.</summary>
    public int Count => Outer * Channels * Inner;

    /// <summary>The number of positions, which is the number of values per channel and of entries in a mask.</summary>
    public int Positions => Outer * Inner;

    /// <summary>
    /// Whether kernels see rows of channels × inner columns; else they see runs of inner values, each of one channel.
    /// </summary>
    internal bool IsColumns => Inner < LeastRun;

    /// <summary>The layout of <paramref name="rows"/> rows of <paramref name="channels"/> features.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    /// <exception cref="ArgumentException">There are over 2³¹ − 1 elements.</exception>
    public static ChannelLayout Features(int rows, int channels) => new([rows, channels]);

    /// <summary>The channel of the element at <paramref name="index"/>.</summary>
    internal int ChannelOf(int index) => index / Inner % Channels;

    /// <summary>The index on the batch axis of the element at <paramref name="index"/>.</summary>
    internal int RowOf(int index) => (int)(index / (Count / Rows));

    /// <summary>The position, as a mask numbers it, of the element at <paramref name="index"/>.</summary>
    internal int PositionOf(int index) => index / (Channels * Inner) * Inner + index % Inner;

    /// <summary>The same channels in an input of another number of rows.</summary>
    internal ChannelLayout WithRows(int rows) => new(rows, Outer / Rows * rows, Channels, Inner);

    /// <summary>Throws if this is the default value, which is no layout.</summary>
    internal void CheckMade(string name)
    {
        if (Rows == 0)
            throw new ArgumentException($"The argument {name} is empty: it was not made from a shape.", name);
    }

    internal void CheckLength(int length, string name)
    {
        if (length != Count)
            throw new ArgumentException(
                $"The argument {name} has {length} values; the layout has {Outer} × {Channels} × {Inner} = {Count}.",
                name);
    }

    internal void CheckMask(int length, string name)
    {
        if (length != 0 && length != Positions)
            throw new ArgumentException(
                $"The argument {name} has {length} entries, but the input has {Outer} × {Inner} = {Positions} "
                + "positions.",
                name);
    }

    internal void CheckChannels(int channels, string name)
    {
        if (channels != Channels)
            throw new ArgumentException(
                $"The argument {name} has {channels} channels, but the input has {Channels}.", name);
    }

    static string Describe(ReadOnlySpan<int> shape) => $"[{string.Join(", ", shape.ToArray())}]";
}
