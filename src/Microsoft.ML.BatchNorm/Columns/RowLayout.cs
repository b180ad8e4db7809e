using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Where the channels lie in one row of a column, and what they are called.</summary>
static class RowLayout
{
    /// <summary>The types that can be normalized, for the message about a column of another type.</summary>
    public const string Expected = "Single or Double, scalar or vector of known size";

    /// <summary>The dimensions of a row; a scalar has one dimension of size 1.</summary>
    /// <exception cref="ArgumentException">ML.NET's schema mismatch: the column cannot be normalized.</exception>
    public static TensorShape Shape(IExceptionContext host, DataViewSchema.Column input)
    {
        DataViewType item = input.Type.GetItemType();
        if (item != NumberDataViewType.Single && item != NumberDataViewType.Double || input.Type.GetValueCount() == 0)
            throw Mismatch(host, input, Expected);
        return ColumnShape.Of(input.Type);
    }

    /// <summary>The layout of one row of a fitted layer's column.</summary>
    /// <param name="host">Reports the errors.</param>
    /// <param name="input">The column to be normalized.</param>
    /// <param name="axis">The channel axis, with the batch as dimension 0.</param>
    /// <param name="fitted">The column that the layer was fitted to, or null if it is not known.</param>
    public static ChannelLayout Of(
        IExceptionContext host, DataViewSchema.Column input, int axis, FittedInput? fitted)
    {
        TensorShape shape = Shape(host, input);
        if (fitted?.Shape is { } expected && expected.Size == shape.Size)
        {
            shape = ColumnShape.Fits(shape, expected)
                ? expected
                : throw Mismatch(host, input, ColumnShape.Expected(input.Type, expected));
        }
        int dimension = ChannelLayout.AxisIn(axis, shape.Rank + 1);
        if (dimension <= 0 || dimension > shape.Rank)
        {
            (string known, string dimensions) = shape.Rank == 1
                ? ("1 or -1", "one dimension")
                : ($"from 1 to {shape.Rank} or from -{shape.Rank} to -1", $"{shape.Rank} dimensions");
            throw host.ExceptUserArg(
                nameof(Axis),
                $"Axis must be {known} for column '{input.Name}', not {axis}: a row of it has {dimensions}, and axis 0 " +
                "is the batch.");
        }
        return new ChannelLayout(shape.WithRows(1), dimension);
    }

    /// <summary>
    /// The channel axis counted from the front, with the batch as dimension 0: the given one, or else the one that
    /// ML.NET's own components use.
    /// </summary>
    /// <exception cref="ArgumentException">No axis was given, and the dimensions leave it open.</exception>
    public static int Axis(IExceptionContext host, DataViewSchema.Column input, int? given)
    {
        TensorShape shape = Shape(host, input);
        if (given is { } axis)
            return ChannelLayout.AxisIn(axis, shape.Rank + 1) is > 0 and var fromFront ? fromFront : axis;
        // [1, n] from ApplyOnnxModel and one-hot encoding, [1, C, H, W] from DnnFeaturizeImage.
        if (shape is { Rank: 2 or > 3 } && shape[0] == 1)
            return 2;
        if (shape.Rank == 3 && IsColors(shape[2]) && !IsColors(shape[0]))
        {
            throw host.ExceptUserArg(
                nameof(Axis),
                $"Axis must be given for column '{input.Name}' {shape}, whose channels may be the first dimension or the " +
                $"last: axis: 1 for {shape[0]} channels ([C, H, W]), axis: 3 for {shape[2]} ([H, W, C], such as " +
                "interleaved colors)");
        }
        return 1;
    }

    /// <summary>The slots' names, if every slot is a channel and has a name; otherwise null.</summary>
    public static string[]? ChannelNames(DataViewSchema.Column column, ChannelLayout row)
    {
        if (row.Channels != row.Count || !column.HasSlotNames())
            return null;
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        string[] texts = [.. names.DenseValues().Select(name => name.ToString())];
        return Array.TrueForAll(texts, text => text.Length > 0) ? texts : null;
    }

    public static Exception Mismatch(
        IExceptionContext host, DataViewSchema.Column input, string expected, string? found = null) =>
        host.ExceptSchemaMismatch(
            "inputSchema", "input", input.Name, expected,
            found ?? (input.Type is VectorDataViewType { IsKnownSize: false }
                ? $"{input.Type} of unknown size; give it one with [VectorType(n)]"
                : input.Type.ToString()));

    /// <summary>Whether a dimension of this size may hold gray, RGB or RGBA.</summary>
    static bool IsColors(int size) => size is 1 or 3 or 4;
}

/// <summary>The column that a layer was fitted to.</summary>
/// <param name="Shape">The dimensions of a row.</param>
/// <param name="IsNormalized">Whether it was marked as normalized.</param>
sealed record FittedInput(TensorShape Shape, bool IsNormalized)
{
    public static FittedInput Of(DataViewSchema.Column column) =>
        new(ColumnShape.Of(column.Type), column.IsNormalized());
}
