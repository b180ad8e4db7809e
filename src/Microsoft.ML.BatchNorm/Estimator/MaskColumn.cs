using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>The column that leaves rows out of the statistics: a scalar <see cref="bool"/>.</summary>
static class MaskColumn
{
    const string Expected = "Boolean";

    public static void Check(IExceptionContext host, SchemaShape schema, string name)
    {
        if (!schema.TryFindColumn(name, out SchemaShape.Column column))
            throw host.ExceptSchemaMismatch("inputSchema", "mask", name);
        if (column.Kind != SchemaShape.Column.VectorKind.Scalar || column.ItemType != BooleanDataViewType.Instance)
            throw host.ExceptSchemaMismatch("inputSchema", "mask", name, Expected, column.GetTypeString());
    }

    public static DataViewSchema.Column Find(IExceptionContext host, DataViewSchema schema, string name)
    {
        DataViewSchema.Column column =
            schema.GetColumnOrNull(name) ?? throw host.ExceptSchemaMismatch("inputSchema", "mask", name);
        return column.Type == BooleanDataViewType.Instance
            ? column
            : throw host.ExceptSchemaMismatch("inputSchema", "mask", name, Expected, column.Type.ToString());
    }
}
