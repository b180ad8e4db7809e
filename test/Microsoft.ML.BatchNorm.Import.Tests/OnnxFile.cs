using Google.Protobuf;

namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>An ONNX file that a test writes, field by field.</summary>
/// <param name="opSet">The version of the standard operators.</param>
/// <param name="producer">The program that the file names as its own.</param>
sealed class OnnxFile(int opSet = 13, string producer = "test")
{
    readonly List<byte[]> nodes = [], initializers = [], inputs = [], outputs = [];

    public int OpSet => opSet;

    /// <summary>An input of the graph. A dimension below 0 is one that the file leaves open.</summary>
    public OnnxFile Input(string name, params long[] dimensions) => Input(name, type: 1, dimensions);

    /// <summary>An input of other elements than floats.</summary>
    public OnnxFile Input(string name, int type, long[] dimensions)
    {
        inputs.Add(Variable(name, dimensions, type));
        return this;
    }

    public OnnxFile Output(string name)
    {
        outputs.Add(Variable(name, null));
        return this;
    }

    public OnnxFile Tensor(string name, float[] values, params long[] dimensions)
    {
        initializers.Add(TensorOf(name, values, dimensions));
        return this;
    }

    public OnnxFile Tensor(string name, long[] values)
    {
        initializers.Add(TensorOf(name, values, values.Length));
        return this;
    }

    public OnnxFile Initializer(byte[] tensor)
    {
        initializers.Add(tensor);
        return this;
    }

    /// <summary>A node of these bytes.</summary>
    public OnnxFile Written(byte[] node)
    {
        nodes.Add(node);
        return this;
    }

    /// <summary>A node whose name is empty.</summary>
    public OnnxFile Node(string type, string inputs, string outputs, params (string Name, object Value)[] attributes) =>
        Named("", type, inputs, outputs, attributes);

    /// <summary>A node.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Its operator.</param>
    /// <param name="inputs">What it reads, with spaces between; - for one that is left out.</param>
    /// <param name="outputs">What it gives, with spaces between.</param>
    /// <param name="attributes">Numbers, texts, arrays of numbers, and tensors as bytes.</param>
    public OnnxFile Named(
        string name, string type, string inputs, string outputs, params (string Name, object Value)[] attributes)
    {
        nodes.Add(Message(node =>
        {
            foreach (string input in inputs.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                Text(node, 1, input == "-" ? "" : input);
            foreach (string output in outputs.Split(' '))
                Text(node, 2, output);
            Text(node, 3, name);
            Text(node, 4, type);
            foreach ((string attribute, object value) in attributes)
                Part(node, 5, Attribute(attribute, value));
        }));
        return this;
    }

    public byte[] ToBytes() => Message(model =>
    {
        Whole(model, 1, 8);
        Text(model, 2, producer);
        Part(model, 7, Message(graph =>
        {
            nodes.ForEach(part => Part(graph, 1, part));
            Text(graph, 2, "graph");
            initializers.ForEach(part => Part(graph, 5, part));
            inputs.ForEach(part => Part(graph, 11, part));
            outputs.ForEach(part => Part(graph, 12, part));
        }));
        Part(model, 8, Message(set => Whole(set, 2, opSet)));
    });

    public static byte[] TensorOf(string name, float[] values, params long[] dimensions) =>
        TensorOf(name, 1, dimensions, tensor => Part(tensor, 9, Bytes(values)));

    public static byte[] TensorOf(string name, long[] values, params long[] dimensions) =>
        TensorOf(name, 7, dimensions, tensor => Array.ForEach(values, value => Whole(tensor, 7, value)));

    /// <summary>A tensor whose values a test writes itself.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">The number of the type of its elements.</param>
    /// <param name="dimensions">Its dimensions.</param>
    /// <param name="write">Writes the values.</param>
    public static byte[] TensorOf(string name, int type, long[] dimensions, Action<CodedOutputStream> write) =>
        Message(tensor =>
        {
            Array.ForEach(dimensions, size => Whole(tensor, 1, size));
            Whole(tensor, 2, type);
            Text(tensor, 8, name);
            write(tensor);
        });

    public static byte[] Bytes<T>(T[] values) where T : unmanaged =>
        System.Runtime.InteropServices.MemoryMarshal.AsBytes<T>(values).ToArray();

    public static byte[] Message(Action<CodedOutputStream> write)
    {
        var stream = new MemoryStream();
        using (var output = new CodedOutputStream(stream, leaveOpen: true))
            write(output);
        return stream.ToArray();
    }

    public static void Whole(CodedOutputStream output, int field, long value)
    {
        output.WriteTag(field, WireFormat.WireType.Varint);
        output.WriteInt64(value);
    }

    public static void Text(CodedOutputStream output, int field, string value)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteString(value);
    }

    public static void Part(CodedOutputStream output, int field, byte[] value)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(value));
    }

    static byte[] Attribute(string name, object value) => Message(attribute =>
    {
        Text(attribute, 1, name);
        switch (value)
        {
            case float or double:
                attribute.WriteTag(2, WireFormat.WireType.Fixed32);
                attribute.WriteFloat(Convert.ToSingle(value));
                Whole(attribute, 20, 1);
                break;
            case int or long:
                Whole(attribute, 3, Convert.ToInt64(value));
                Whole(attribute, 20, 2);
                break;
            case string text:
                Text(attribute, 4, text);
                Whole(attribute, 20, 3);
                break;
            case byte[] tensor:
                Part(attribute, 5, tensor);
                Whole(attribute, 20, 4);
                break;
            case int[] numbers:
                foreach (int number in numbers)
                    Whole(attribute, 8, number);
                Whole(attribute, 20, 7);
                break;
            case float[] numbers:
                foreach (float number in numbers)
                {
                    attribute.WriteTag(7, WireFormat.WireType.Fixed32);
                    attribute.WriteFloat(number);
                }
                Whole(attribute, 20, 6);
                break;
            default:
                throw new ArgumentException($"There are no attributes of {value.GetType()}.");
        }
    });

    static byte[] Variable(string name, long[]? dimensions, int type = 1) => Message(variable =>
    {
        Text(variable, 1, name);
        Part(variable, 2, Message(kind => Part(kind, 1, Message(tensor =>
        {
            Whole(tensor, 1, type);
            if (dimensions is null)
                return;
            Part(tensor, 2, Message(shape =>
            {
                foreach (long size in dimensions)
                {
                    Part(shape, 1, Message(dimension =>
                    {
                        if (size < 0)
                            Text(dimension, 2, $"d{-size}");
                        else
                            Whole(dimension, 1, size);
                    }));
                }
            }));
        }))));
    });
}
