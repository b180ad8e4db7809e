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
            throw new InvalidDataException("the file goes on behind the data of its last tensor.");
        string computed = SafetensorsWriter.Digits(source.Checksum.Value);
        return header.Checksum is null || header.Checksum == computed
            ? values
            : throw new InvalidDataException(
                $"the checksum does not match: {header.Checksum} is stored, {computed} follows from the data.");
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

    public long Whole(string name) => ((long[])tensors[name])[0];

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
            _ => Array.ConvertAll(source.ReadArray<int>(count), value => (long)value),
        };
    }

    static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
