using Microsoft.ML;

namespace DigitsPipeline;

/// <summary>Exports the chain to ONNX, and shows the graph.</summary>
static class OnnxStep
{
    public static void Run(MLContext mlContext, ITransformer chain, IDataView data)
    {
        using var stream = new MemoryStream();
        mlContext.Model.ConvertToOnnx(chain, data, stream);
        IReadOnlyList<string> operators = OnnxGraph.Operators(stream.ToArray());
        Show.Heading(
            4, "Export to ONNX",
            $"The same chain is a graph of {operators.Count} operators and {stream.Length:N0} bytes, for any " +
            "program that runs ONNX; an Identity hands out a column. This sample does not run it. Its operators:");
        Show.Text(string.Join(", ", operators.CountBy(name => name).Select(
            group => group.Value == 1 ? group.Key : $"{group.Value} x {group.Key}")));
    }
}
