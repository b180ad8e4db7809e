using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>
/// Applies the layers of a trained network to a column. Nothing is fitted: <c>Fit</c> checks the input's schema and
/// reads no row.
/// </summary>
/// <seealso cref="ApplyNetworkCatalog"/>
public sealed class ApplyNetworkEstimator : TrivialEstimator<ApplyNetworkTransformer>
{
    internal ApplyNetworkEstimator(IHostEnvironment env, ApplyNetworkTransformer transformer)
        : base(env.Register(nameof(ApplyNetworkEstimator)), transformer)
    {
    }

    /// <summary>The schema that the transformer delivers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The column is missing, or of a type that a network cannot take.
    /// </exception>
    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        Host.CheckValue(inputSchema, nameof(inputSchema));
        Dictionary<string, SchemaShape.Column> columns = inputSchema.ToDictionary(column => column.Name);
        if (!inputSchema.TryFindColumn(Transformer.InputColumnName, out SchemaShape.Column input))
            throw Host.ExceptSchemaMismatch(nameof(inputSchema), "input", Transformer.InputColumnName);
        if (input.Kind != SchemaShape.Column.VectorKind.Vector || input.ItemType != NumberDataViewType.Single)
            throw Host.ExceptSchemaMismatch(
                nameof(inputSchema), "input", Transformer.InputColumnName, Transformer.Expected, input.GetTypeString());
        columns[Transformer.OutputColumnName] = new SchemaShape.Column(
            Transformer.OutputColumnName, SchemaShape.Column.VectorKind.Vector, NumberDataViewType.Single,
            isKey: false);
        return new SchemaShape(columns.Values);
    }
}
