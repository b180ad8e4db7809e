using Google.Protobuf;

namespace Microsoft.ML.BatchNorm.Import.Tests;

/// <summary>The forms in which a file can store a tensor.</summary>
[TestClass]
public class TensorTests
{
    static readonly float[] numbers = [1.5f, -2, 0, 0.375f, -1, 7];

    const int Raw = 9, FloatData = 4, Int32Data = 5, Int64Data = 7, DoubleData = 10;

    [TestMethod]
    public void Floats()
    {
        Are(numbers, 1, tensor => OnnxFile.Part(tensor, Raw, OnnxFile.Bytes(numbers)));
        Are(numbers, 1, tensor => OnnxFile.Part(tensor, FloatData, OnnxFile.Bytes(numbers)));
        Are(numbers, 1, tensor => Array.ForEach(numbers, number =>
        {
            tensor.WriteTag(FloatData, WireFormat.WireType.Fixed32);
            tensor.WriteFloat(number);
        }));
    }

    [TestMethod]
    public void Raw_data_in_parts() => CollectionAssert.AreEqual(numbers, Read(1, tensor =>
    {
        // The first is no whole number of elements.
        OnnxFile.Part(tensor, Raw, OnnxFile.Bytes(numbers)[..7]);
        OnnxFile.Part(tensor, Raw, OnnxFile.Bytes(numbers)[7..9]);
        OnnxFile.Part(tensor, Raw, OnnxFile.Bytes(numbers)[9..]);
    }));

    [TestMethod]
    public void Doubles()
    {
        double[] doubles = Array.ConvertAll(numbers, number => (double)number);
        Are(numbers, 11, tensor => OnnxFile.Part(tensor, Raw, OnnxFile.Bytes(doubles)));
        Are(numbers, 11, tensor => OnnxFile.Part(tensor, DoubleData, OnnxFile.Bytes(doubles)));
        Are(numbers, 11, tensor => Array.ForEach(doubles, number =>
        {
            tensor.WriteTag(DoubleData, WireFormat.WireType.Fixed64);
            tensor.WriteDouble(number);
        }));
    }

    [TestMethod]
    public void Floats_of_16_bits()
    {
        Half[] halves = Array.ConvertAll(numbers, number => (Half)number);
        // Numbers whose lower half is zero.
        short[] upper = Array.ConvertAll(numbers, number => (short)(BitConverter.SingleToInt32Bits(number) >> 16));
        AreOf(10, OnnxFile.Bytes(halves), Array.ConvertAll(halves, half => (long)BitConverter.HalfToUInt16Bits(half)));
        AreOf(16, OnnxFile.Bytes(upper), Array.ConvertAll(upper, bits => (long)(ushort)bits));

        static void AreOf(int type, byte[] bytes, long[] bits)
        {
            Are(numbers, type, tensor => OnnxFile.Part(tensor, Raw, bytes));
            Are(numbers, type, tensor => OnnxFile.Part(tensor, Int32Data, Packed(bits)));
            Are(numbers, type, tensor => Array.ForEach(bits, value => OnnxFile.Whole(tensor, Int32Data, value)));
        }
    }

    [TestMethod]
    public void Whole_numbers()
    {
        int[] whole = [1, -2, int.MaxValue, int.MinValue, 0, 6];
        long[] wide = Array.ConvertAll(whole, number => (long)number);
        float[] expected = Array.ConvertAll(whole, number => (float)number);
        Are(expected, 6, tensor => OnnxFile.Part(tensor, Raw, OnnxFile.Bytes(whole)));
        Are(expected, 6, tensor => OnnxFile.Part(tensor, Int32Data, Packed(wide)));
        Are(expected, 6, tensor => Array.ForEach(wide, value => OnnxFile.Whole(tensor, Int32Data, value)));
        Are(expected, 7, tensor => OnnxFile.Part(tensor, Raw, OnnxFile.Bytes(wide)));
        Are(expected, 7, tensor => OnnxFile.Part(tensor, Int64Data, Packed(wide)));
        Are(expected, 7, tensor => Array.ForEach(wide, value => OnnxFile.Whole(tensor, Int64Data, value)));
    }

    [TestMethod]
    public void Other_types_are_named() => StringAssert.Contains(
        Assert.ThrowsExactly<InvalidDataException>(() => Read(3, tensor => OnnxFile.Part(tensor, Raw, new byte[6])))
            .Message,
        "The tensor 'w' has elements of type 3; the types that are read are Float (1), Int32 (6), Int64 (7)");

    /// <summary>The numbers are one kernel, that ONNX Runtime reads alike if it is one of floats.</summary>
    static void Are(float[] expected, int type, Action<CodedOutputStream> write)
    {
        CollectionAssert.AreEqual(expected, Read(type, write));
        if (type == 1)
            Reference.Check(File(type, write));
    }

    static float[] Read(int type, Action<CodedOutputStream> write) =>
        Reference.Load(File(type, write).ToBytes()).State["fc"].ArrayOf<float>("kernel")!;

    static OnnxFile File(int type, Action<CodedOutputStream> write) => new OnnxFile().Input("x", -1, 2).Output("y")
        .Initializer(OnnxFile.TensorOf("w", type, [3, 2], write)).Named("fc", "Gemm", "x w", "y", ("transB", 1));

    static byte[] Packed(long[] values) =>
        OnnxFile.Message(output => Array.ForEach(values, output.WriteInt64));
}
