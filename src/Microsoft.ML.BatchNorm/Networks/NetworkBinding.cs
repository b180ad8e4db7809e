using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Binds a network's model to the columns of a view. It does what ML.NET's own wrapper does, which looks at the size of
/// the features alone, and refuses a column of the network's size in other dimensions.
/// </summary>
/// <param name="model">The model, which ML.NET asks to bind itself.</param>
/// <param name="input">The shape of a row that goes into the network.</param>
/// <param name="wrapper">ML.NET's wrapper around the model.</param>
sealed class NetworkBinding(ISchemaBindableMapper model, TensorShape input, SchemaBindablePredictorWrapperBase wrapper)
{
    public ISchemaBoundMapper Bind(IHostEnvironment env, RoleMappedSchema schema)
    {
        Contracts.CheckValue(env, nameof(env));
        env.CheckValue(schema, nameof(schema));
        if (schema.Feature is { Type: VectorDataViewType { Size: > 0 } type } feature && type.Size == input.Size
            && !ColumnShape.FitsNetwork(ColumnShape.Of(type), input))
        {
            throw env.ExceptSchemaMismatch(
                "inputSchema", "feature", feature.Name, ColumnShape.Expected(type, input), type.ToString());
        }
        return new Bound((ISchemaBoundRowMapper)((ISchemaBindableMapper)wrapper).Bind(env, schema), model);
    }

    public bool SaveAsOnnx(OnnxContext ctx, RoleMappedSchema schema, string[] outputNames) =>
        ((IBindableCanSaveOnnx)wrapper).SaveAsOnnx(ctx, schema, outputNames);

    /// <summary>The wrapper's, for which the model is bound again when other data comes.</summary>
    sealed class Bound(ISchemaBoundRowMapper bound, ISchemaBindableMapper model) : ISchemaBoundRowMapper
    {
        public ISchemaBindableMapper Bindable => model;

        public RoleMappedSchema InputRoleMappedSchema => bound.InputRoleMappedSchema;

        public DataViewSchema InputSchema => bound.InputSchema;

        public DataViewSchema OutputSchema => bound.OutputSchema;

        public IEnumerable<KeyValuePair<RoleMappedSchema.ColumnRole, string>> GetInputColumnRoles() =>
            bound.GetInputColumnRoles();

        public IEnumerable<DataViewSchema.Column> GetDependenciesForNewColumns(
            IEnumerable<DataViewSchema.Column> dependingColumns) =>
            bound.GetDependenciesForNewColumns(dependingColumns);

        public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) =>
            bound.GetRow(input, activeColumns);
    }
}
