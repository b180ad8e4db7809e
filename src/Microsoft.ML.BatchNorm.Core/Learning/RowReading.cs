using System.Numerics;
using System.Runtime.InteropServices;

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
/// <param name="Checksums">The checksums of all values.</param>
/// <param name="AreFinite">Whether all features are finite.</param>
/// <param name="AreClasses">Whether every target could be the index of a class.</param>
/// <param name="GreatestTarget">The greatest target.</param>
sealed record RowInspection(RowChecksums Checksums, bool AreFinite, bool AreClasses, float GreatestTarget)
{
    /// <exception cref="ArgumentException">A weight is out of range.</exception>
    public static RowInspection Of(TrainingData data, Action check, RowShares? shares)
    {
        var checksums = new RowChecksums(data, shares);
        bool areFinite = true, areClasses = true;
        float greatest = float.NegativeInfinity;
        foreach (RowPart part in RowPart.Of(data))
        {
            check();
            TrainingData.CheckWeights(part.Weights, "weights");
            checksums.Append(part);
            areFinite &= Finite.All(part.Features);
            foreach (float target in part.Targets)
            {
                areClasses &= TrainingData.IsClass(target);
                greatest = Math.Max(greatest, target);
            }
        }
        return new(checksums, areFinite, areClasses, greatest);
    }
}

/// <summary>
/// The CRC-32C (RFC 3720, appendix B.4) of numbers as little-endian bytes, by which a resumed run recognizes its rows.
/// </summary>
/// <param name="register">The register to begin with.</param>
struct RowChecksum(uint register)
{
    uint register = register;

    public RowChecksum() : this(uint.MaxValue)
    {
    }

    public readonly uint Value => ~register;

    public readonly uint Register => register;

    /// <summary>
    /// The checksum of all rows: the same whether they are in memory or read from a source, and on one rank or several.
    /// </summary>
    /// <param name="ranks">The ranks that have shares of the rows; null for one. Several exchange one message.</param>
    /// <param name="parts">Each data, with its rows on all ranks.</param>
    public static uint Of(ICollective? ranks, params ReadOnlySpan<(TrainingData? Data, RowShares? Shares)> parts)
    {
        var checksums = new List<RowChecksums>();
        foreach ((TrainingData? data, RowShares? shares) in parts)
        {
            if (data is not null)
                checksums.Add(data.Source is null ? new RowChecksums(data, shares) : data.Inspection!.Checksums);
        }
        uint[] registers = [.. checksums.SelectMany(one => one.Registers)];
        if (ranks is not null)
        {
            uint[] all = new uint[ranks.Size * registers.Length];
            ranks.Gather(MemoryMarshal.AsBytes<uint>(registers), MemoryMarshal.AsBytes(all.AsSpan()));
            Array.Clear(registers);
            for (int i = 0; i < all.Length; i++)
                registers[i % registers.Length] ^= all[i];
        }
        var sum = new RowChecksum();
        int read = 0;
        foreach ((TrainingData? data, RowShares? shares) in parts)
        {
            sum.Append((uint)(shares?.Total ?? data?.Rows ?? 0));
            for (int i = 0; i < RowChecksums.Count && data is not null; i++)
                sum.Append(~registers[read++]);
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

    static uint Bits(float value) => BitConverter.SingleToUInt32Bits(value);
}

/// <summary>
/// The checksums of features, targets and weights. CRC is linear: a rank takes zeros for the rows of other ranks, only
/// rank 0 begins with the register of a CRC, and the registers of all ranks together, by exclusive or, are that of all
/// rows.
/// </summary>
sealed class RowChecksums
{
    /// <summary>The number of checksums.</summary>
    public const int Count = 3;

    readonly RowChecksum[] sums = new RowChecksum[Count];
    readonly int[] lengths;
    readonly RowShares? shares;
    readonly Dictionary<long, ZeroBytes> zeros = [];
    int next;

    /// <summary>The checksums of rows that are in memory; of rows in a source, none yet.</summary>
    public RowChecksums(TrainingData data, RowShares? shares)
    {
        this.shares = shares;
        lengths = [data.FeaturesPerRow, data.TargetsPerRow, data.HasWeights ? 1 : 0];
        Array.Fill(sums, new RowChecksum(shares is null or { Rank: 0 } ? uint.MaxValue : 0));
        if (data.Source is not null)
            return;
        Append(0, data.Rows, data.Features.Span, data.Targets.Span, data.Weights.Span);
    }

    /// <summary>The numbering of the rows; null if there is one rank.</summary>
    public RowShares? Shares => shares;

    /// <summary>The registers after all rows.</summary>
    public IEnumerable<uint> Registers => sums.Select((sum, i) => shares is null
        ? sum.Register
        : Skip(sum.Register, shares.Total - next, lengths[i]));

    public void Append(RowPart part) =>
        Append(part.Rows[0], part.Rows.Length, part.Features, part.Targets, part.Weights);

    /// <summary>Appends rows that follow one another on this rank.</summary>
    void Append(
        int first, int rows, ReadOnlySpan<float> features, ReadOnlySpan<float> targets, ReadOnlySpan<float> weights)
    {
        if (shares is null)
        {
            sums[0].Append(features);
            sums[1].Append(targets);
            sums[2].Append(weights);
            return;
        }
        for (int row = 0; row < rows; row++)
        {
            int number = shares.NumberOf(first + row);
            Append(0, number, features.Slice(row * lengths[0], lengths[0]));
            Append(1, number, targets.Slice(row * lengths[1], lengths[1]));
            Append(2, number, weights.Slice(row * lengths[2], lengths[2]));
            next = number + 1;
        }
    }

    void Append(int i, int number, ReadOnlySpan<float> values)
    {
        sums[i] = new RowChecksum(Skip(sums[i].Register, number - next, lengths[i]));
        sums[i].Append(values);
    }

    uint Skip(uint register, long rows, int perRow)
    {
        long bytes = rows * perRow * sizeof(float);
        if (bytes == 0)
            return register;
        if (!zeros.TryGetValue(bytes, out ZeroBytes? map))
            zeros.Add(bytes, map = new ZeroBytes(bytes));
        return map.Apply(register);
    }
}

/// <summary>What a number of zero bytes makes of a CRC-32C's register: a linear map.</summary>
sealed class ZeroBytes
{
    const int Bits = 32;

    /// <summary>What becomes of each bit of the register.</summary>
    readonly uint[] columns;

    public ZeroBytes(long count)
    {
        columns = [.. Enumerable.Range(0, Bits).Select(bit => 1u << bit)];
        uint[] power = [.. columns.Select(column => BitOperations.Crc32C(column, (byte)0))];
        for (; count > 0; count >>= 1)
        {
            if ((count & 1) != 0)
                columns = Array.ConvertAll(columns, column => Apply(power, column));
            power = Array.ConvertAll(power, column => Apply(power, column));
        }
    }

    public uint Apply(uint register) => Apply(columns, register);

    static uint Apply(uint[] columns, uint register)
    {
        uint result = 0;
        for (int bit = 0; register != 0; bit++, register >>= 1)
            result ^= (register & 1) != 0 ? columns[bit] : 0;
        return result;
    }
}
