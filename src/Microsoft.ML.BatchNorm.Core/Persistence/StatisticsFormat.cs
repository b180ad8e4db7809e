using System.Collections.Immutable;

namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// Recorded distances as bytes, little-endian: their number (int32), each with the names of its phase and layer, epoch
/// (int32), and the median and maximum of means and variances (float64 each).
/// </summary>
static class StatisticsFormat
{
    public static void Write(BinaryWriter writer, ImmutableArray<StatisticsDistance> statistics)
    {
        writer.Write(statistics.Length);
        foreach (StatisticsDistance distance in statistics)
        {
            RunFormat.WriteName(writer, distance.Phase);
            RunFormat.WriteName(writer, distance.Layer);
            writer.Write(distance.Epoch);
            writer.Write(distance.MeanMedian);
            writer.Write(distance.MeanMaximum);
            writer.Write(distance.VarianceMedian);
            writer.Write(distance.VarianceMaximum);
        }
    }

    // Initializers run in the order in which they are written, which is the order of the bytes.
    public static void Read(BinaryReader reader, ImmutableArray<StatisticsDistance>.Builder statistics)
    {
        for (int left = reader.ReadInt32(); left > 0; left--)
        {
            statistics.Add(new StatisticsDistance
            {
                Phase = RunFormat.ReadName(reader),
                Layer = RunFormat.ReadName(reader),
                Epoch = Check.Positive(reader.ReadInt32(), "the epoch of a distance"),
                MeanMedian = ReadDistance(reader),
                MeanMaximum = ReadDistance(reader),
                VarianceMedian = ReadDistance(reader),
                VarianceMaximum = ReadDistance(reader),
            });
        }
    }

    static double ReadDistance(BinaryReader reader) => reader.ReadDouble() is >= 0 and var distance
        ? distance
        : throw new InvalidDataException("A distance of moving statistics is not a number from 0.");
}
