using Google.Protobuf;
using Google.Protobuf.Collections;
using static Microsoft.ML.Model.OnnxConverter.OnnxCSharpToProtoWrapper;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>A graph as ML.NET's converter writes it: the file, and what it says.</summary>
sealed class OnnxModel
{
    readonly ModelProto model;

    OnnxModel(byte[] bytes)
    {
        Bytes = bytes;
        model = ModelProto.Parser.ParseFrom(bytes);
    }

    public static OnnxModel Of(ITransformer transformer, IDataView view) =>
        Written(stream => Transformer.View.ML.Model.ConvertToOnnx(transformer, view, stream));

    public static OnnxModel Of(ITransformer transformer, IDataView view, int opSet) =>
        Written(stream => Transformer.View.ML.Model.ConvertToOnnx(transformer, view, opSet, stream));

    public static OnnxModel Of(ITransformer transformer, IDataView view, params string[] outputs) =>
        Written(stream => Transformer.View.ML.Model.ConvertToOnnx(transformer, view, stream, outputs));

    public byte[] Bytes { get; }

    /// <summary>The version of the standard operators.</summary>
    public long OpSet => model.OpsetImport.Single(set => set.Domain.Length == 0).Version;

    public RepeatedField<ValueInfoProto> Inputs => model.Graph.Input;

    public RepeatedField<ValueInfoProto> Outputs => model.Graph.Output;

    /// <summary>The nodes, without the identities that ML.NET puts before every output.</summary>
    public NodeProto[] Nodes => [.. model.Graph.Node.Where(node => node.OpType != "Identity")];

    public string[] Operators => [.. Nodes.Select(node => node.OpType)];

    public NodeProto Normalization => Nodes.Single(node => node.OpType == "BatchNormalization");

    public TensorProto Constant(string name) => model.Graph.Initializer.Single(constant => constant.Name == name);

    /// <summary>The variables that nodes compute from this one.</summary>
    public IEnumerable<string> ComputedFrom(string variable) =>
        model.Graph.Node.Where(node => node.Input.Contains(variable)).SelectMany(node => node.Output);

    /// <summary>The same graph, which also gives these variables.</summary>
    public OnnxModel WithOutputs(IEnumerable<string> names)
    {
        var more = new OnnxModel(Bytes);
        more.Outputs.AddRange(names.Select(name => new ValueInfoProto { Name = name }));
        return new OnnxModel(more.model.ToByteArray());
    }

    static OnnxModel Written(Action<Stream> write)
    {
        using var stream = new MemoryStream();
        write(stream);
        return new OnnxModel(stream.ToArray());
    }
}
