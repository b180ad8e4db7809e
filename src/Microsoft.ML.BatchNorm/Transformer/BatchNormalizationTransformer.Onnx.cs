using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

public sealed partial class BatchNormalizationTransformer
{
    sealed partial class Mapper : ISaveAsOnnx
    {
        bool ICanSaveOnnx.CanSaveOnnx(OnnxContext ctx) => true;

        void ISaveAsOnnx.SaveAsOnnx(OnnxContext ctx)
        {
            Host.CheckValue(ctx, nameof(ctx));
            ctx.CheckOpSetVersion(OnnxColumn.MinimumOpSet, LoaderSignature);

            // Every input is looked up before any output is added, which may have the name of a later input.
            string?[] inputs = Array.ConvertAll(
                parent.columns,
                column => ctx.ContainsColumn(column.InputColumnName)
                    ? ctx.GetVariableName(column.InputColumnName)
                    : null);
            for (int i = 0; i < inputs.Length; i++)
            {
                BatchNormalizationColumn column = parent.columns[i];
                if (inputs[i] is not string input)
                {
                    ctx.RemoveColumn(column.OutputColumnName, removeVariable: false);
                    continue;
                }
                string output = ctx.AddIntermediateVariable(Input(i).Type, column.OutputColumnName);
                new OnnxColumn(ctx, column, Input(i).Type).Save(input, output);
            }
        }
    }
}
