namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>What an ONNX file says, as far as it matters here. The numbers are those of onnx.proto.</summary>
sealed class OnnxModel
{
    public OnnxModel(byte[] bytes)
    {
        var model = new Message(bytes);
        foreach (Message set in model.Messages(8))
            OpSets[set.Text(1)] = set.Integer(2);
        Message graph = model.Messages(7).Single();
        Nodes = [.. graph.Messages(1).Select(node => new OnnxNode(node))];
        foreach (Message tensor in graph.Messages(5))
            Constants[tensor.Text(8)] = ReadTensor(tensor);
        Inputs = [.. graph.Messages(11).Select(value => new OnnxVariable(value))];
        Outputs = [.. graph.Messages(12).Select(value => new OnnxVariable(value))];
        Declared = [.. graph.Messages(13).Select(value => new OnnxVariable(value))];
    }

    /// <summary>Converts with ML.NET's own converter.</summary>
    public static OnnxModel Of(ITransformer transformer, IDataView view) =>
        Written(stream => Transformer.View.ML.Model.ConvertToOnnx(transformer, view, stream));

    public static OnnxModel Of(ITransformer transformer, IDataView view, int opSet) =>
        Written(stream => Transformer.View.ML.Model.ConvertToOnnx(transformer, view, opSet, stream));

    public static OnnxModel Of(ITransformer transformer, IDataView view, params string[] outputs) =>
        Written(stream => Transformer.View.ML.Model.ConvertToOnnx(transformer, view, stream, outputs));

    /// <summary>Versions by domain; the standard operators' is the empty one.</summary>
    public Dictionary<string, long> OpSets { get; } = [];

    public OnnxNode[] Nodes { get; }

    public Dictionary<string, Tensor> Constants { get; } = [];

    public OnnxVariable[] Inputs { get; }

    public OnnxVariable[] Outputs { get; }

    /// <summary>Variables between inputs and outputs whose types are told.</summary>
    public OnnxVariable[] Declared { get; }

    /// <summary>The operators, in order, without the identities that ML.NET puts before every output.</summary>
    public string[] Operators => [.. Nodes.Select(node => node.Type).Where(type => type != "Identity")];

    public OnnxNode[] Normalizations => [.. Nodes.Where(node => node.Type == "BatchNormalization")];

    static OnnxModel Written(Action<Stream> write)
    {
        using var stream = new MemoryStream();
        write(stream);
        return new OnnxModel(stream.ToArray());
    }

    static Tensor ReadTensor(Message tensor)
    {
        var element = (Element)tensor.Integer(2);
        IEnumerable<double> values = element switch
        {
            Element.Single => tensor.Singles(4).Select(value => (double)value),
            Element.Int64 => tensor.Integers(7).Select(value => (double)value),
            Element.Double => tensor.Doubles(10),
            _ => throw new NotSupportedException($"Constant '{tensor.Text(8)}' has the element type {element}."),
        };
        return new Tensor(element, [.. tensor.Integers(1)], values);
    }
}

/// <summary>The name, the element type and the shape of a variable; −1 is a dimension of any size.</summary>
sealed class OnnxVariable
{
    public OnnxVariable(Message value)
    {
        Name = value.Text(1);
        Message tensor = value.Messages(2).Single().Messages(1).Single();
        Element = (Element)tensor.Integer(1);
        Shape = [.. tensor.Messages(2).SelectMany(shape => shape.Messages(1)).Select(
            dimension => dimension.Has(1) ? dimension.Integer(1) : -1)];
    }

    public string Name { get; }

    public Element Element { get; }

    public long[] Shape { get; }
}

sealed class OnnxNode
{
    readonly Dictionary<string, Message> attributes = [];

    public OnnxNode(Message node)
    {
        Inputs = [.. node.Texts(1)];
        Outputs = [.. node.Texts(2)];
        Type = node.Text(4);
        Domain = node.Text(7);
        foreach (Message attribute in node.Messages(5))
            attributes[attribute.Text(1)] = attribute;
    }

    public string Type { get; }

    public string Domain { get; }

    public string[] Inputs { get; }

    public string[] Outputs { get; }

    public IEnumerable<string> Attributes => attributes.Keys;

    public float Single(string attribute) => attributes[attribute].Single(2);

    public long Integer(string attribute) => attributes[attribute].Integer(3);

    public string Text(string attribute) => attributes[attribute].Text(4);

    public float[] Singles(string attribute) => [.. attributes[attribute].Singles(7)];

    public long[] Integers(string attribute) => [.. attributes[attribute].Integers(8)];
}
