using Microsoft.ML.BatchNorm;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationTransformer
{
    /// <summary>Adds the normalized columns to an ONNX graph.</summary>
    /// <param name="ctx">The graph of what comes before.</param>
    /// <param name="input">The data before the transformer.</param>
    internal void SaveAsOnnx(OnnxContext ctx, IDataView input)
    {
        Host.CheckValue(ctx, nameof(ctx));
        ctx.CheckOpSetVersion(OnnxColumn.MinimumOpSet, LoaderSignature);
        IDataView root = input;
        while (root is IDataTransform transform)
            root = transform.Source;

        // Every input is looked up before any output is added, which may have the name of a later input.
        string?[] variables = Array.ConvertAll(
            columns,
            column => ctx.ContainsColumn(column.InputColumnName) ? ctx.GetVariableName(column.InputColumnName) : null);
        for (int i = 0; i < columns.Length; i++)
        {
            BatchNormalizationColumn column = columns[i];
            if (variables[i] is not string variable)
            {
                ctx.RemoveColumn(column.OutputColumnName, removeVariable: false);
                continue;
            }
            DataViewType type = input.Schema[column.InputColumnName].Type;
            string output = ctx.AddIntermediateVariable(type, column.OutputColumnName);
            // A graph does not see the mask; what a hidden row may hold passes in every row.
            bool passesNonFinite = column.Options.NonFinite == NonFinite.Ignore || Settings.MaskColumnName is not null;
            var nodes = new OnnxColumn(ctx, column, type, passesNonFinite);
            // Only an input of the graph is a column of the first data and has that column's name.
            bool isGraphInput =
                variable == column.InputColumnName && root.Schema.GetColumnOrNull(variable) is not null;
            nodes.Save(isGraphInput ? variable : nodes.InDeclaredShape(variable), output);
        }
    }
}
