using Microsoft.ML.Data;

namespace Microsoft.ML.Transforms;

/// <summary>
/// The annotations of a normalized column. Those of the input that tell about its slots' names and its visibility
/// still hold. Those about its values (what a score means, which slots are indicators of a category) hold no longer.
/// </summary>
static class NormalizedAnnotations
{
    public static bool Keeps(string kind) =>
        kind is AnnotationUtils.Kinds.SlotNames or AnnotationUtils.Kinds.IsUserVisible;

    public static DataViewSchema.Annotations Of(DataViewSchema.Column input)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add(input.Annotations, Keeps);
        builder.Add(
            AnnotationUtils.Kinds.IsNormalized, BooleanDataViewType.Instance,
            (ValueGetter<bool>)((ref bool value) => value = true));
        return builder.ToAnnotations();
    }

    /// <summary>The same of a column that an estimator is promised.</summary>
    public static SchemaShape Of(SchemaShape.Column input) => new(
        input.Annotations.Where(annotation => Keeps(annotation.Name)).Append(new SchemaShape.Column(
            AnnotationUtils.Kinds.IsNormalized, SchemaShape.Column.VectorKind.Scalar, BooleanDataViewType.Instance,
            isKey: false)));
}
