using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>Where the channels lie in one row of a column.</summary>
static class RowLayout
{
    /// <summary>What a column must be, for the message when it is not.</summary>
    public const string Expected = "Single or Double, scalar or vector of known size";

    /// <summary>The layout of one row, or ML.NET's schema mismatch where the column cannot be normalized.</summary>
    /// <param name="host">Whose error it is.</param>
    /// <param name="input">The column to be normalized.</param>
    /// <param name="axis">The channel axis as the layer's options count it, the batch first.</param>
    public static ChannelLayout Of(IExceptionContext host, DataViewSchema.Column input, int axis)
    {
        DataViewType item = input.Type.GetItemType();
        if (item != NumberDataViewType.Single && item != NumberDataViewType.Double || input.Type.GetValueCount() == 0)
            throw Mismatch(host, input, Expected);
        int[] shape = input.Type is VectorDataViewType vector ? [1, .. vector.Dimensions] : [1, 1];
        int dimension = axis < 0 ? axis + shape.Length : axis;
        if (dimension <= 0 || dimension >= shape.Length)
            throw Mismatch(host, input, $"a dimension {(axis < 0 ? axis : axis - 1)}, the channel axis");
        return new ChannelLayout(shape, dimension);
    }

    public static Exception Mismatch(IExceptionContext host, DataViewSchema.Column input, string expected) =>
        host.ExceptSchemaMismatch(
            "inputSchema", "input", input.Name, expected,
            input.Type is VectorDataViewType { IsKnownSize: false }
                ? $"{input.Type} of unknown size; give it one with [VectorType(n)]"
                : input.Type.ToString());
}
