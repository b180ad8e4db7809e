using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>The column that a layer was fitted to.</summary>
/// <param name="Shape">The dimensions of a row.</param>
/// <param name="IsNormalized">Whether it was marked as normalized.</param>
sealed record FittedInput(TensorShape Shape, bool IsNormalized)
{
    public static FittedInput Of(DataViewSchema.Column column) =>
        new(ColumnShape.Of(column.Type), column.IsNormalized());
}
