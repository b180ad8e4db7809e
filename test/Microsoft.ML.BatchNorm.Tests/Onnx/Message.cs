using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.BatchNorm.Tests.Onnx;

/// <summary>One message of protobuf's wire format: numbered fields, each any number of times.</summary>
sealed class Message
{
    readonly List<(int Number, Wire Wire, ulong Value, ReadOnlyMemory<byte> Bytes)> fields = [];

    public Message(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            ulong tag = Varint(ref bytes);
            (int number, var wire) = ((int)(tag >> 3), (Wire)(tag & 7));
            switch (wire)
            {
                case Wire.Varint:
                    fields.Add((number, wire, Varint(ref bytes), default));
                    break;
                case Wire.Bytes:
                    fields.Add((number, wire, 0, Take(ref bytes, checked((int)Varint(ref bytes)))));
                    break;
                case Wire.Fixed32:
                    fields.Add((number, wire, 0, Take(ref bytes, sizeof(float))));
                    break;
                case Wire.Fixed64:
                    fields.Add((number, wire, 0, Take(ref bytes, sizeof(double))));
                    break;
                default:
                    throw new InvalidDataException($"Field {number} has the wire type {wire}.");
            }
        }
    }

    enum Wire
    {
        Varint = 0,
        Fixed64 = 1,
        Bytes = 2,
        Fixed32 = 5,
    }

    public IEnumerable<Message> Messages(int number) =>
        Fields(number).Select(field => new Message(field.Bytes));

    public IEnumerable<string> Texts(int number) =>
        Fields(number).Select(field => Encoding.UTF8.GetString(field.Bytes.Span));

    public string Text(int number) => Texts(number).LastOrDefault("");

    public long Integer(int number) => Integers(number).LastOrDefault();

    public float Single(int number) => Singles(number).LastOrDefault();

    public bool Has(int number) => Fields(number).Any();

    public IEnumerable<long> Integers(int number)
    {
        foreach (var field in Fields(number))
        {
            if (field.Wire == Wire.Varint)
                yield return (long)field.Value;
            ReadOnlyMemory<byte> packed = field.Bytes;
            while (!packed.IsEmpty)
                yield return (long)Varint(ref packed);
        }
    }

    public IEnumerable<float> Singles(int number)
    {
        foreach (var field in Fields(number))
        {
            for (int i = 0; i < field.Bytes.Length; i += sizeof(float))
                yield return BinaryPrimitives.ReadSingleLittleEndian(field.Bytes.Span[i..]);
        }
    }

    public IEnumerable<double> Doubles(int number)
    {
        foreach (var field in Fields(number))
        {
            for (int i = 0; i < field.Bytes.Length; i += sizeof(double))
                yield return BinaryPrimitives.ReadDoubleLittleEndian(field.Bytes.Span[i..]);
        }
    }

    IEnumerable<(int Number, Wire Wire, ulong Value, ReadOnlyMemory<byte> Bytes)> Fields(int number) =>
        fields.Where(field => field.Number == number);

    static ulong Varint(ref ReadOnlyMemory<byte> bytes)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = Take(ref bytes, 1).Span[0];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
                return value;
        }
    }

    static ReadOnlyMemory<byte> Take(ref ReadOnlyMemory<byte> bytes, int count)
    {
        ReadOnlyMemory<byte> taken = bytes[..count];
        bytes = bytes[count..];
        return taken;
    }
}
