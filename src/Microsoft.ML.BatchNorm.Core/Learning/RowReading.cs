using System.Numerics;

namespace Microsoft.ML.BatchNorm;

/// <summary>Copies of some rows of data; the next rows overwrite them.</summary>
/// <param name="data">The data.</param>
/// <param name="most">The most rows in a part.</param>
sealed class RowPart(TrainingData data, int most)
{
    const int Values = 1 << 16;

    readonly int[] rows = new int[most];
    readonly float[] features = new float[most * data.FeaturesPerRow], targets = new float[most * data.TargetsPerRow],
        weights = new float[data.HasWeights ? most : 0];
    int count;

    /// <summary>The numbers of the rows in the data.</summary>
    public ReadOnlySpan<int> Rows => rows.AsSpan(0, count);

    public ReadOnlySpan<float> Features => features.AsSpan(0, count * data.FeaturesPerRow);

    public ReadOnlySpan<float> Targets => targets.AsSpan(0, count * data.TargetsPerRow);

    /// <summary>One weight per row, or empty.</summary>
    public ReadOnlySpan<float> Weights => data.HasWeights ? weights.AsSpan(0, count) : [];

    /// <summary>Reads rows part by part. Every part is the same object, filled with the next rows.</summary>
    /// <param name="data">The data.</param>
    /// <param name="rows">Which of its rows; null for all.</param>
    /// <param name="most">The most rows in a part; null for as many as have 65,536 values.</param>
    public static IEnumerable<RowPart> Of(TrainingData data, IReadOnlyCollection<int>? rows = null, int? most = null)
    {
        int count = rows?.Count ?? data.Rows;
        var part = new RowPart(data, Math.Clamp(most ?? Values / data.ValuesPerRow, 1, Math.Max(1, count)));
        using IEnumerator<int> numbers = (rows ?? Enumerable.Range(0, count)).GetEnumerator();
        while (part.Take(numbers))
            yield return part;
    }

    bool Take(IEnumerator<int> numbers)
    {
        for (count = 0; count < rows.Length && numbers.MoveNext(); count++)
            rows[count] = numbers.Current;
        if (count == 0)
            return false;
        data.Read(
            Rows, features.AsSpan(0, Features.Length), targets.AsSpan(0, Targets.Length),
            weights.AsSpan(0, Weights.Length));
        return true;
    }
}

/// <summary>What reading all rows of a source once has shown.</summary>
/// <param name="Features">The checksum of all features.</param>
/// <param name="Targets">The checksum of all targets.</param>
/// <param name="Weights">The checksum of all weights.</param>
/// <param name="AreFinite">Whether all features are finite.</param>
/// <param name="AreClasses">Whether every target could be the index of a class.</param>
/// <param name="GreatestTarget">The greatest target.</param>
sealed record RowInspection(
    uint Features, uint Targets, uint Weights, bool AreFinite, bool AreClasses, float GreatestTarget)
{
    /// <exception cref="ArgumentException">A weight is out of range.</exception>
    public static RowInspection Of(TrainingData data, Action check)
    {
        RowChecksum features = new(), targets = new(), weights = new();
        bool areFinite = true, areClasses = true;
        float greatest = float.NegativeInfinity;
        foreach (RowPart part in RowPart.Of(data))
        {
            check();
            TrainingData.CheckWeights(part.Weights, nameof(weights));
            features.Append(part.Features);
            targets.Append(part.Targets);
            weights.Append(part.Weights);
            areFinite &= Finite.All(part.Features);
            foreach (float target in part.Targets)
            {
                areClasses &= TrainingData.IsClass(target);
                greatest = Math.Max(greatest, target);
            }
        }
        return new(features.Value, targets.Value, weights.Value, areFinite, areClasses, greatest);
    }
}

/// <summary>
/// The CRC-32C (RFC 3720, appendix B.4) of numbers as little-endian bytes, by which a resumed run recognizes its rows.
/// </summary>
struct RowChecksum()
{
    uint register = uint.MaxValue;

    public readonly uint Value => ~register;

    /// <summary>The checksum of all rows, the same whether they are in memory or read from a source.</summary>
    public static uint Of(params ReadOnlySpan<TrainingData?> parts)
    {
        var sum = new RowChecksum();
        foreach (TrainingData? data in parts)
        {
            sum.Append((uint)(data?.Rows ?? 0));
            if (data is null)
                continue;
            sum.Append(data.Inspection?.Features ?? Of(data.Features.Span));
            sum.Append(data.Inspection?.Targets ?? Of(data.Targets.Span));
            sum.Append(data.Inspection?.Weights ?? Of(data.Weights.Span));
        }
        return sum.Value;
    }

    public void Append(ReadOnlySpan<float> values)
    {
        uint crc = register;
        for (; values.Length > 1; values = values[2..])
            crc = BitOperations.Crc32C(crc, (ulong)Bits(values[1]) << 32 | Bits(values[0]));
        register = values.IsEmpty ? crc : BitOperations.Crc32C(crc, Bits(values[0]));
    }

    void Append(uint value) => register = BitOperations.Crc32C(register, value);

    static uint Of(ReadOnlySpan<float> values)
    {
        var sum = new RowChecksum();
        sum.Append(values);
        return sum.Value;
    }

    static uint Bits(float value) => BitConverter.SingleToUInt32Bits(value);
}
