using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>A graph in ONNX Runtime next to the transformer that it was made from, on the same rows.</summary>
static class Exported
{
    /// <summary>
    /// The graph's values are the transformer's, in one batch and row by row, whether or not the runtime rewrites the
    /// graph.
    /// </summary>
    /// <param name="model">The graph.</param>
    /// <param name="transformer">What the graph was made from.</param>
    /// <param name="view">The rows.</param>
    /// <param name="columns">The output columns that are compared.</param>
    public static void AssertSameValues(
        OnnxModel model, ITransformer transformer, IDataView view, params string[] columns)
    {
        IDataView output = transformer.Transform(view);
        ColumnValues[] inputs = [.. model.Inputs.Select(input => ColumnValues.Of(view, input.Name))];
        ColumnValues[] expected = Array.ConvertAll(columns, name => ColumnValues.Of(output, name));
        int rows = expected[0].Rows;
        foreach (GraphOptimizationLevel level in (GraphOptimizationLevel[])
            [GraphOptimizationLevel.ORT_ENABLE_ALL, GraphOptimizationLevel.ORT_DISABLE_ALL])
        {
            using InferenceSession session = Session(model, level);
            foreach (int batch in (int[])[rows, 1])
            {
                for (int first = 0; first < rows; first += batch)
                {
                    OrtValue[] x = Array.ConvertAll(inputs, input => input.Tensor(first, batch));
                    using var options = new RunOptions();
                    using IDisposableReadOnlyCollection<OrtValue> y = session.Run(
                        options, [.. model.Inputs.Select(input => input.Name)], x,
                        Array.ConvertAll(columns, name => name + ".output"));
                    for (int i = 0; i < columns.Length; i++)
                        expected[i].AssertSame(y[i], first, $"batches of {batch}, {level}");
                    Array.ForEach(x, tensor => tensor.Dispose());
                }
            }
        }
    }

    /// <summary>All outputs of a graph of one column, by their names.</summary>
    public static Dictionary<string, float[]> Run(OnnxModel model, ColumnValues input)
    {
        using InferenceSession session = Session(model, GraphOptimizationLevel.ORT_DISABLE_ALL);
        using OrtValue x = input.Tensor(0, input.Rows);
        using var options = new RunOptions();
        string[] names = [.. session.OutputNames];
        using IDisposableReadOnlyCollection<OrtValue> y =
            session.Run(options, [model.Inputs.Single().Name], [x], names);
        return names.Zip(y).ToDictionary(
            pair => pair.First, pair => pair.Second.GetTensorDataAsSpan<float>().ToArray());
    }

    public static OnnxModel AssertSameValues(
        BatchNormalizationTransformer transformer, IDataView view, params string[] columns)
    {
        OnnxModel model = OnnxModel.Of(transformer, view);
        AssertSameValues(model, transformer, view, columns.Length == 0 ? ["Y"] : columns);
        return model;
    }

    static InferenceSession Session(OnnxModel model, GraphOptimizationLevel level)
    {
        using var options = new SessionOptions
        {
            GraphOptimizationLevel = level,
            IntraOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        return new InferenceSession(model.Bytes, options);
    }
}
