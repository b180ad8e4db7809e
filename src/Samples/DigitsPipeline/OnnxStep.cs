using Google.Protobuf;
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
            "program that runs ONNX; an Identity returns a column. This sample does not run it. Its operators:");
        Show.Text(string.Join(", ", operators.CountBy(name => name).Select(
            group => group.Value == 1 ? group.Key : $"{group.Value} x {group.Key}")));
    }
}

/// <summary>Reads the operators of an ONNX graph, in their order.</summary>
static class OnnxGraph
{
    // Field numbers of onnx.proto.
    const int ModelGraph = 7, GraphNode = 1, NodeOperator = 4;

    public static IReadOnlyList<string> Operators(byte[] model) =>
    [
        .. Fields(model, ModelGraph)
            .SelectMany(graph => Fields(graph, GraphNode))
            .SelectMany(node => Fields(node, NodeOperator))
            .Select(name => ByteString.CopyFrom(name).ToStringUtf8()),
    ];

    /// <summary>The contents of the fields with that number in a message, which must be strings or messages.</summary>
    static List<byte[]> Fields(byte[] message, int number)
    {
        var found = new List<byte[]>();
        var input = new CodedInputStream(message);
        while (input.ReadTag() is var tag and not 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) == number)
                found.Add(input.ReadBytes().ToByteArray());
            else
                input.SkipLastField();
        }
        return found;
    }
}
