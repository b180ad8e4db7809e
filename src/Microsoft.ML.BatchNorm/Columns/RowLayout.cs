using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Where the channels lie in one row of a column.</summary>
static class RowLayout
{
    /// <summary>What a column must be, for the message when it is not.</summary>
    public const string Expected = "Single or Double, scalar or vector of known size";

    /// <summary>
    /// The dimensions of a row, a scalar's being one; or ML.NET's schema mismatch where the column cannot be
    /// normalized.
    /// </summary>
    public static TensorShape Shape(IExceptionContext host, DataViewSchema.Column input)
    {
        DataViewType item = input.Type.GetItemType();
        if (item != NumberDataViewType.Single && item != NumberDataViewType.Double || input.Type.GetValueCount() == 0)
            throw Mismatch(host, input, Expected);
        return ColumnShape.Of(input.Type);
    }

    /// <summary>The layout of one row of a fitted layer's column.</summary>
    /// <param name="host">Whose error it is.</param>
    /// <param name="input">The column to be normalized.</param>
    /// <param name="axis">The channel axis, with the batch as dimension 0.</param>
    /// <param name="fitted">The column that the layer was fitted to, or null where that is not known.</param>
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
        int dimension = axis < 0 ? axis + shape.Rank + 1 : axis;
        if (dimension <= 0 || dimension > shape.Rank)
        {
            throw Mismatch(
                host, input,
                $"the channel axis to be from 1 to {shape.Rank} (0 is the batch) or from -{shape.Rank} to -1, not {axis}");
        }
        return new ChannelLayout(shape.WithRows(1), dimension);
    }

    /// <summary>
    /// The channel axis as it is counted from the front, with the batch as dimension 0: the one that was said, or the
    /// one that ML.NET's own components write.
    /// </summary>
    /// <exception cref="ArgumentException">None was said, and the dimensions may mean one or another.</exception>
    public static int Axis(IExceptionContext host, DataViewSchema.Column input, int? said)
    {
        TensorShape shape = Shape(host, input);
        if (said is { } axis)
            return axis < 0 && axis + shape.Rank + 1 > 0 ? axis + shape.Rank + 1 : axis;
        // [1, n] from ApplyOnnxModel and one-hot encoding, [1, C, H, W] from DnnFeaturizeImage.
        if (shape is { Rank: 2 or > 3 } && shape[0] == 1)
            return 2;
        if (shape.Rank == 3 && IsColors(shape[2]) && !IsColors(shape[0]))
        {
            throw host.ExceptUserArg(
                nameof(BatchNormalizationEstimator.Options.Axis),
                $"Axis must be given for column '{input.Name}' {shape}, whose channels may be the first dimension or the " +
                $"last: axis: 1 for {shape[0]} channels ([C, H, W]), axis: 3 for {shape[2]} ([H, W, C], such as " +
                "interleaved colors)");
        }
        return 1;
    }

    public static Exception Mismatch(
        IExceptionContext host, DataViewSchema.Column input, string expected, string? found = null) =>
        host.ExceptSchemaMismatch(
            "inputSchema", "input", input.Name, expected,
            found ?? (input.Type is VectorDataViewType { IsKnownSize: false }
                ? $"{input.Type} of unknown size; give it one with [VectorType(n)]"
                : input.Type.ToString()));

    /// <summary>Whether a dimension may be that of gray, of red, green and blue, or of these and alpha.</summary>
    static bool IsColors(int size) => size is 1 or 3 or 4;
}
