using Google.Protobuf;

namespace Microsoft.ML.BatchNorm.Import;

/// <summary>
/// Reads an ONNX file, which is a protocol buffer of the schema <c>onnx.proto</c>, field by field. It knows the few
/// fields that the import needs, and skips all others.
/// </summary>
/// <remarks>
/// No classes are generated from the schema: they would be ten times as much code, and would copy every tensor before
/// anything can be checked. Here a tensor stays where it is in the file's bytes, and memory grows with the bytes that
/// are there, not with the sizes that they claim. Subgraphs are skipped, so no message holds itself.
/// </remarks>
sealed class OnnxReader
{
    readonly byte[] bytes;
    readonly CodedInputStream input;

    /// <summary>The field that is being read.</summary>
    uint tag;

    OnnxReader(byte[] bytes) => (this.bytes, input) = (bytes, new CodedInputStream(bytes));

    /// <summary>Reads a whole file.</summary>
    /// <exception cref="InvalidDataException">The bytes are no ONNX file, or are truncated or damaged.</exception>
    public static OnnxModel Read(byte[] bytes)
    {
        if (bytes.Length == 0)
            throw new InvalidDataException("The file is empty.");
        try
        {
            return new OnnxReader(bytes).Model();
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new InvalidDataException(
                $"The file is no ONNX file, or it is truncated or damaged: {error.Message.TrimEnd('.')}.", error);
        }
    }

    OnnxModel Model()
    {
        string producer = "";
        long? format = null, opSet = null;
        OnnxModel? graph = null;
        while (Next(bytes.Length))
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.Varint):
                    format = input.ReadInt64();
                    break;
                case (2, WireFormat.WireType.LengthDelimited):
                    producer = input.ReadString();
                    break;
                case (7, WireFormat.WireType.LengthDelimited):
                    graph = graph is null ? Graph() : throw Damaged("it has two graphs");
                    break;
                case (8, WireFormat.WireType.LengthDelimited):
                    (string domain, long version) = OpSet();
                    if (IsStandard(domain))
                        opSet = version;
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        return graph is null
            ? throw new InvalidDataException("The file is no ONNX file, or it is truncated: it has no graph.")
            : graph with { Producer = producer, OpSet = opSet ?? (format is 1 or 2 ? 1 : null) };
    }

    (string Domain, long Version) OpSet()
    {
        (string domain, long version) = ("", 0);
        for (int end = Enter(); Next(end);)
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.LengthDelimited):
                    domain = input.ReadString();
                    break;
                case (2, WireFormat.WireType.Varint):
                    version = input.ReadInt64();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        return (domain, version);
    }

    OnnxModel Graph()
    {
        var nodes = new List<OnnxNode>();
        var initializers = new Dictionary<string, OnnxTensor>(StringComparer.Ordinal);
        var inputs = new List<OnnxInput>();
        var outputs = new List<string>();
        for (int end = Enter(); Next(end);)
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.LengthDelimited):
                    nodes.Add(Node(nodes.Count));
                    break;
                case (5, WireFormat.WireType.LengthDelimited):
                    OnnxTensor tensor = Tensor();
                    if (!initializers.TryAdd(tensor.Name, tensor))
                        throw Damaged($"it has two tensors '{tensor.Name}'");
                    break;
                case (11, WireFormat.WireType.LengthDelimited):
                    inputs.Add(Value());
                    break;
                case (12, WireFormat.WireType.LengthDelimited):
                    outputs.Add(Value().Name);
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        return new OnnxModel("", null, nodes, initializers, inputs, outputs);
    }

    OnnxNode Node(int place)
    {
        (string name, string type, string domain) = ("", "", "");
        List<string>? inputs = null, outputs = null;
        List<OnnxAttribute>? attributes = null;
        for (int end = Enter(); Next(end);)
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.LengthDelimited):
                    (inputs ??= []).Add(input.ReadString());
                    break;
                case (2, WireFormat.WireType.LengthDelimited):
                    (outputs ??= []).Add(input.ReadString());
                    break;
                case (3, WireFormat.WireType.LengthDelimited):
                    name = input.ReadString();
                    break;
                case (4, WireFormat.WireType.LengthDelimited):
                    type = input.ReadString();
                    break;
                case (5, WireFormat.WireType.LengthDelimited):
                    (attributes ??= []).Add(Attribute());
                    break;
                case (7, WireFormat.WireType.LengthDelimited):
                    domain = input.ReadString();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        return new OnnxNode(
            place, name, IsStandard(domain) ? type : $"{domain}.{type}", inputs ?? (IReadOnlyList<string>)[],
            outputs ?? (IReadOnlyList<string>)[], attributes ?? (IReadOnlyList<OnnxAttribute>)[]);
    }

    OnnxAttribute Attribute()
    {
        string name = "";
        float? number = null;
        long? whole = null;
        string? text = null;
        OnnxTensor? tensor = null, numbers = null;
        int kind = 0, count = 0;
        List<long>? ints = null;
        for (int end = Enter(); Next(end);)
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.LengthDelimited):
                    name = input.ReadString();
                    break;
                case (2, WireFormat.WireType.Fixed32):
                    number = input.ReadFloat();
                    break;
                case (3, WireFormat.WireType.Varint):
                    whole = input.ReadInt64();
                    break;
                case (4, WireFormat.WireType.LengthDelimited):
                    text = input.ReadString();
                    break;
                case (5, WireFormat.WireType.LengthDelimited):
                    tensor = Tensor();
                    break;
                case (7, WireFormat.WireType.LengthDelimited or WireFormat.WireType.Fixed32):
                    ReadOnlyMemory<byte> more = Bytes();
                    (numbers ??= new OnnxTensor { Type = OnnxType.Float }).AddBytes(more);
                    count += more.Length / sizeof(float);
                    break;
                case (8, WireFormat.WireType.Varint):
                    (ints ??= []).Add(input.ReadInt64());
                    break;
                case (8, WireFormat.WireType.LengthDelimited):
                    ints ??= [];
                    for (int last = Enter(); IsBefore(last);)
                        ints.Add(input.ReadInt64());
                    break;
                case (20, WireFormat.WireType.Varint):
                    kind = input.ReadEnum();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        numbers?.AddDimension(count);
        return new OnnxAttribute(name, kind, number, whole, text, tensor ?? numbers, ints is null ? [] : [.. ints]);
    }

    OnnxInput Value()
    {
        string name = "";
        OnnxInput? value = null;
        for (int end = Enter(); Next(end);)
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.LengthDelimited):
                    name = input.ReadString();
                    break;
                case (2, WireFormat.WireType.LengthDelimited):
                    value = Only(1, TensorType);
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        return new OnnxInput(name, value?.Type ?? default, value?.Dimensions);
    }

    OnnxInput TensorType()
    {
        OnnxType type = default;
        List<long?>? dimensions = null;
        for (int end = Enter(); Next(end);)
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.Varint):
                    type = (OnnxType)input.ReadInt32();
                    break;
                case (2, WireFormat.WireType.LengthDelimited):
                    dimensions = Shape();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        return new OnnxInput("", type, dimensions);
    }

    /// <summary>Reads one field of a message, which is a message too, and skips all others.</summary>
    T? Only<T>(int field, Func<T?> read) where T : class
    {
        T? value = null;
        for (int end = Enter(); Next(end);)
        {
            if (Field == field && Type == WireFormat.WireType.LengthDelimited)
                value = read();
            else
                input.SkipLastField();
        }
        return value;
    }

    List<long?> Shape()
    {
        var dimensions = new List<long?>();
        for (int end = Enter(); Next(end);)
        {
            if (Field == 1 && Type == WireFormat.WireType.LengthDelimited)
                dimensions.Add(Dimension());
            else
                input.SkipLastField();
        }
        return dimensions;
    }

    /// <summary>
    /// A dimension; null for one that has a name, or a size that is not positive, which ML.NET writes for the batch.
    /// </summary>
    long? Dimension()
    {
        long? size = null;
        for (int end = Enter(); Next(end);)
        {
            if (Field == 1 && Type == WireFormat.WireType.Varint)
                size = input.ReadInt64();
            else
                input.SkipLastField();
        }
        return size > 0 ? size : null;
    }

    OnnxTensor Tensor()
    {
        var tensor = new OnnxTensor();
        for (int end = Enter(); Next(end);)
        {
            switch (Field, Type)
            {
                case (1, WireFormat.WireType.Varint):
                    tensor.AddDimension(input.ReadInt64());
                    break;
                case (1, WireFormat.WireType.LengthDelimited):
                    for (int last = Enter(); IsBefore(last);)
                        tensor.AddDimension(input.ReadInt64());
                    break;
                case (2, WireFormat.WireType.Varint):
                    tensor.Type = (OnnxType)input.ReadInt32();
                    break;
                // A segment of a tensor, or data in another file.
                case (3 or 13, WireFormat.WireType.LengthDelimited):
                    tensor.IsElsewhere = true;
                    input.SkipLastField();
                    break;
                case (14, WireFormat.WireType.Varint):
                    tensor.IsElsewhere |= input.ReadInt32() != 0;
                    break;
                case (4 or 9 or 10, WireFormat.WireType.LengthDelimited):
                case (4, WireFormat.WireType.Fixed32) or (10, WireFormat.WireType.Fixed64):
                    tensor.AddBytes(Bytes());
                    break;
                case (5 or 7, WireFormat.WireType.Varint):
                    tensor.AddInteger(input.ReadInt64());
                    break;
                case (5 or 7, WireFormat.WireType.LengthDelimited):
                    for (int last = Enter(); IsBefore(last);)
                        tensor.AddInteger(input.ReadInt64());
                    break;
                case (8, WireFormat.WireType.LengthDelimited):
                    tensor.Name = input.ReadString();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }
        return tensor;
    }

    int Field => WireFormat.GetTagFieldNumber(tag);

    WireFormat.WireType Type => WireFormat.GetTagWireType(tag);

    int Position => (int)input.Position;

    /// <summary>Reads the length of a message, and returns where it ends.</summary>
    int Enter()
    {
        int length = input.ReadLength();
        return length >= 0 && length <= bytes.Length - Position
            ? Position + length
            : throw Damaged("it claims more bytes than there are, as when it is truncated");
    }

    /// <summary>Reads the tag of a message's next field; false at the message's end.</summary>
    bool Next(int end)
    {
        if (!IsBefore(end))
            return false;
        tag = input.ReadTag();
        return true;
    }

    bool IsBefore(int end)
    {
        if (Position > end)
            throw Damaged("a part of it reaches beyond the one around it");
        return Position < end;
    }

    /// <summary>The bytes of the field, where they are.</summary>
    ReadOnlyMemory<byte> Bytes()
    {
        int first = Position;
        bool hasLength = Type == WireFormat.WireType.LengthDelimited;
        input.SkipLastField();
        while (hasLength && (bytes[first++] & 0x80) != 0)
            ;
        return bytes.AsMemory(first, Position - first);
    }

    static bool IsStandard(string domain) => domain is "" or "ai.onnx";

    static InvalidDataException Damaged(string fault) =>
        new($"The file is no ONNX file, or it is damaged: {fault}.");
}
