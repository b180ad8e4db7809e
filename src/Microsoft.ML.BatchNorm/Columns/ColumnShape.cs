using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>Compares a column's dimensions with those that a layer or a network expects.</summary>
static class ColumnShape
{
    /// <summary>The dimensions of a row of known size; a scalar has one dimension of size 1.</summary>
    public static TensorShape Of(DataViewType type) =>
        type is VectorDataViewType vector ? new TensorShape([.. vector.Dimensions]) : new TensorShape(1);

    /// <summary>
    /// The dimensions of a row as a network takes it: without the leading 1 that <c>DnnFeaturizeImage</c> and
    /// <c>ApplyOnnxModel</c> write for the batch.
    /// </summary>
    public static TensorShape OfRow(DataViewType type)
    {
        TensorShape shape = Of(type);
        return shape is { Rank: 2 or > 3 } && shape[0] == 1 ? new TensorShape(shape.Dimensions[1..]) : shape;
    }

    /// <summary>
    /// Whether rows can be read in the expected dimensions: they have the same dimensions, apart from leading ones, or
    /// they are plain vectors of the same size.
    /// </summary>
    public static bool Fits(TensorShape given, TensorShape expected) =>
        given.Size == expected.Size
        && (Trimmed(given).Length == 1 || Trimmed(given).SequenceEqual(Trimmed(expected)));

    /// <summary>The same for a network; one whose input is a plain vector also takes rows with dimensions.</summary>
    public static bool FitsNetwork(TensorShape given, TensorShape input) =>
        Fits(given, input) || given.Size == input.Size && Trimmed(input).Length == 1;

    /// <summary>The type of a vector column with these dimensions, as ML.NET writes it.</summary>
    public static string Describe(DataViewType item, TensorShape shape) =>
        new VectorDataViewType((PrimitiveDataViewType)item, shape.Dimensions.ToArray()).ToString();

    /// <summary>The expected type, for the message about a column with other dimensions.</summary>
    public static string Expected(DataViewType given, TensorShape expected)
    {
        string type = Describe(given.GetItemType(), expected);
        return Advice(Trimmed(Of(given)), Trimmed(expected)) is { } advice ? $"{type} ({advice})" : type;
    }

    static string? Advice(ReadOnlySpan<int> given, ReadOnlySpan<int> expected)
    {
        if (given.Length != 3 || expected.Length != 3)
            return null;
        if (given.SequenceEqual([expected[1], expected[2], expected[0]]))
            return "channels first, as ExtractPixels gives them with interleavePixelColors: false";
        if (given.SequenceEqual([expected[2], expected[0], expected[1]]))
            return "channels last, as ExtractPixels gives them with interleavePixelColors: true";
        return given.SequenceEqual([expected[0], expected[2], expected[1]])
            || given.SequenceEqual([expected[1], expected[0], expected[2]])
            ? "height and width are exchanged: see imageHeight and imageWidth of ResizeImages"
            : null;
    }

    static ReadOnlySpan<int> Trimmed(TensorShape shape)
    {
        ReadOnlySpan<int> dimensions = shape.Dimensions;
        while (dimensions.Length > 1 && dimensions[0] == 1)
            dimensions = dimensions[1..];
        return dimensions;
    }
}
