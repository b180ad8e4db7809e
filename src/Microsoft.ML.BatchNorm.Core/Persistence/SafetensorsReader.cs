namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Reads the batch normalization under one prefix of a safetensors file.</summary>
static class SafetensorsReader
{
    public static BatchNormalizationState Read(Stream stream, string prefix)
    {
        var source = new ByteSource(stream, "the file");
        SafetensorsHeader header = SafetensorsHeader.Read(source);
        SafetensorsLayer layer = SafetensorsLayer.Find(header, prefix);
        StateNames names = layer.Names;

        Dictionary<string, double[]> values = [];
        long batches = 0;
        foreach (SafetensorsEntry tensor in header.Tensors)
        {
            source.Enter(tensor);
            if (!layer.Needs(tensor))
                source.Skip(tensor.Bytes);
            else if (tensor.Name == names.Batches)
                batches = tensor.Dtype == "I64" ? source.Read<long>() : source.Read<int>();
            else
                values.Add(tensor.Name, ReadFloats(source, tensor.Dtype, layer.Channels));
        }
        if (!source.AtEnd())
            throw new InvalidDataException("the file goes on behind the data of its last tensor.");
        CheckChecksum(header.Checksum, source.Checksum.Value);

        var state = new BatchNormalizationState(
            values[names.Mean], values[names.Variance], Narrow(values.GetValueOrDefault(names.Gamma)),
            Narrow(values.GetValueOrDefault(names.Beta)), batches, initialWeight: 0,
            layer.HasRenorm
                ? RenormStatistics.Of(values[names.Renorm[0]], values[names.Renorm[1]], values[names.Renorm[2]])
                : null,
            population: null);
        return StateFault.Of(state, names) is { } fault ? throw new InvalidDataException(fault) : state;
    }

    static void CheckChecksum(string? stored, uint computed)
    {
        if (stored is not null && stored != SafetensorsWriter.Digits(computed))
            throw new InvalidDataException(
                $"the checksum does not match: {stored} is stored, {SafetensorsWriter.Digits(computed)} follows from "
                + "the data.");
    }

    static double[] ReadFloats(ByteSource source, string dtype, int count) => dtype switch
    {
        "F64" => source.ReadArray<double>(count),
        "F32" => Array.ConvertAll(source.ReadArray<float>(count), value => (double)value),
        "F16" => Array.ConvertAll(source.ReadArray<Half>(count), value => (double)value),
        _ => Array.ConvertAll(source.ReadArray<ushort>(count), FromBFloat16),
    };

    static double FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    static float[] Narrow(double[]? values) => Array.ConvertAll(values ?? [], value => (float)value);
}
