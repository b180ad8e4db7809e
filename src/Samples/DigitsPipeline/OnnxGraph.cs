using Google.Protobuf;

namespace DigitsPipeline;

/// <summary>The operators of a stored ONNX graph, in their order.</summary>
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

    /// <summary>The content of each field of that number in a message; strings and messages alone.</summary>
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
