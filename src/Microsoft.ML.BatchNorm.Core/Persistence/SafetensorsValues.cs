using System.Globalization;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// The values of the tensors of a file that are wanted, in the narrowest type that holds them exactly.
/// </summary>
sealed class SafetensorsValues
{
    readonly Dictionary<string, Array> tensors = new(StringComparer.Ordinal);
    readonly IReadOnlyDictionary<string, string> populations;

    SafetensorsValues(SafetensorsHeader header) => populations = header.Populations;

    /// <summary>Reads the data behind a header to the end of the file, and compares its checksum.</summary>
    /// <param name="source">The file, its header read.</param>
    /// <param name="header">The header.</param>
    /// <param name="isWanted">By name; dtype and shape of these are checked, so that each fits an array.</param>
    public static SafetensorsValues Read(ByteSource source, SafetensorsHeader header, Func<string, bool> isWanted)
    {
        var values = new SafetensorsValues(header);
        foreach (SafetensorsEntry tensor in header.Tensors)
        {
            source.Enter(tensor);
            if (isWanted(tensor.Name))
                values.tensors.Add(tensor.Name, Read(source, tensor));
            else
                source.Skip(tensor.Bytes);
        }
        if (!source.AtEnd())
            throw new InvalidDataException("The file goes on behind the data of its last tensor.");
        string computed = SafetensorsWriter.Digits(source.Checksum.Value);
        return header.Checksum is null || header.Checksum == computed
            ? values
            : throw new InvalidDataException(
                $"The checksum does not match: {header.Checksum} is stored, {computed} follows from the data.");
    }

    public bool Has(string name) => tensors.ContainsKey(name);

    public float[] Floats(string name) => tensors[name] switch
    {
        float[] values => values,
        var values => Array.ConvertAll((double[])values, value => (float)value),
    };

    public double[] Doubles(string name) => tensors[name] switch
    {
        double[] values => values,
        var values => Array.ConvertAll((float[])values, value => (double)value),
    };

    /// <summary>A count, whatever type it is stored in.</summary>
    public long Whole(string name) => tensors[name] switch
    {
        long[] values => values[0],
        float[] values => Whole(name, values[0]),
        var values => Whole(name, ((double[])values)[0]),
    };

    static long Whole(string name, double value) =>
        double.IsInteger(value) && value is >= 0 and < long.MaxValue ? (long)value : throw NotWhole(name, value);

    static InvalidDataException NotWhole(string name, object value) => new(string.Create(
        CultureInfo.InvariantCulture,
        $"Tensor {SafetensorsEntry.Quote(name)} is {value}; it must be a whole number from 0 to 2⁶³ − 1."));

    /// <exception cref="InvalidDataException">What is there is no population of as many channels.</exception>
    public PopulationMoments? Population(string name, int channels) =>
        populations.TryGetValue(name, out string? text) ? PopulationText.Parse(text, channels, name) : null;

    static Array Read(ByteSource source, in SafetensorsEntry tensor)
    {
        int count = (int)(tensor.Bytes / SafetensorsEntry.SizeOf(tensor.Dtype));
        return tensor.Dtype switch
        {
            "F64" => source.ReadArray<double>(count),
            "F32" => source.ReadArray<float>(count),
            "F16" => Array.ConvertAll(source.ReadArray<Half>(count), value => (float)value),
            "BF16" => Array.ConvertAll(source.ReadArray<ushort>(count), FromBFloat16),
            "I64" => source.ReadArray<long>(count),
            "I32" => Array.ConvertAll(source.ReadArray<int>(count), value => (long)value),
            "I16" => Array.ConvertAll(source.ReadArray<short>(count), value => (long)value),
            "I8" => Array.ConvertAll(source.ReadArray<sbyte>(count), value => (long)value),
            // As a double where a long cannot hold it, and so no count.
            "U64" => source.ReadArray<ulong>(count) is var values && Array.TrueForAll(values, IsLong)
                ? Array.ConvertAll(values, value => (long)value)
                : Array.ConvertAll(values, value => (double)value),
            "U32" => Array.ConvertAll(source.ReadArray<uint>(count), value => (long)value),
            "U16" => Array.ConvertAll(source.ReadArray<ushort>(count), value => (long)value),
            _ => Array.ConvertAll(source.ReadArray<byte>(count), value => (long)value),
        };
    }

    static bool IsLong(ulong value) => value <= long.MaxValue;

    static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
