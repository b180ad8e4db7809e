using System.Runtime.InteropServices;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// A population in the metadata of a safetensors file, where programs that know nothing of it do not mind it: count,
/// M2, and what the doubles of mean and M2 do not hold (float64 per channel, little-endian), in Base64.
/// </summary>
static class PopulationText
{
    public static string Of(PopulationMoments population)
    {
        double[] values = [.. population.Count, .. population.M2, .. population.MeanRest, .. population.M2Rest];
        if (!BitConverter.IsLittleEndian)
            ByteOrder.Swap<double>(values);
        return Convert.ToBase64String(MemoryMarshal.AsBytes<double>(values));
    }

    /// <exception cref="InvalidDataException">The text is no population of as many channels.</exception>
    public static PopulationMoments Parse(string text, int channels, string name)
    {
        long length = (long)PopulationMoments.Arrays * channels, bytes = length * sizeof(double);
        double[] values = text.Length == (bytes + 2) / 3 * 4 ? new double[length] : [];
        if (!Convert.TryFromBase64String(text, MemoryMarshal.AsBytes(values.AsSpan()), out int written)
            || written != bytes)
            throw new InvalidDataException(
                $"The metadata {SafetensorsEntry.Quote(name)} is not the Base64 of {PopulationMoments.Arrays} numbers for "
                + $"each of {channels} channels.");
        if (!BitConverter.IsLittleEndian)
            ByteOrder.Swap<double>(values);
        return new PopulationMoments(Part(0), Part(1), Part(2), Part(3));

        double[] Part(int array) => values[(array * channels)..((array + 1) * channels)];
    }
}
