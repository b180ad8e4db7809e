using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm;

public sealed partial class BatchNormalizationState
{
    /// <summary>Writes every bit of the state in this library's own format.</summary>
    /// <param name="stream">
    /// Written from where it stands, neither flushed nor closed. States may follow one another, or lie amid other data.
    /// </param>
    /// <remarks>
    /// <para>
    /// Version 1, little-endian. Header: eight bytes 89 42 4E 53 54 0D 0A 1A, version (uint16), flags (uint16: 1 γ,
    /// 2 β, 4 renorm, 8 population), channels (uint32), payload length in bytes (uint64). Payload: batches seen
    /// (int64), initial weight (float64), moving mean and variance (float64 a channel), γ and β (float32 a channel),
    /// renorm's moving deviation, mean and deviation, the population's count and M2, and what the doubles of mean and
    /// M2 do not hold (float64 a channel). Last, the CRC-32C (RFC 3720) of all before it (uint32).
    /// </para>
    /// <para>A version that this library has written can be read by every later one.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after a training that diverged, and could not be loaded again;
    /// nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable();
        var sink = new ByteSink(stream);
        BinaryHeader.Of(this).Write(sink);
        WritePayload(sink);
        sink.Write(sink.Checksum.Value);
    }

    /// <summary>Reads a state that <see cref="Save"/> wrote; it equals the saved one bit for bit.</summary>
    /// <param name="stream">Read up to the state's last byte and not further. It need not be able to seek.</param>
    /// <remarks>
    /// Truncation and damage are noticed. Memory grows with the bytes that are there, not with lengths claimed.
    /// </remarks>
    /// <exception cref="ArgumentNullException">The stream is null.</exception>
    /// <exception cref="InvalidDataException">
    /// The stream holds no state here, or it is truncated, damaged, of an unknown version, or has a value out of
    /// range; the message says which.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static BatchNormalizationState Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var source = new ByteSource(stream, "the state");
        BinaryHeader header = BinaryHeader.Read(source);
        source.Enter("its payload", header.PayloadLength);
        BatchNormalizationState state = ReadPayload(source, header);
        source.CheckChecksum();
        return StateFault.Of(state, StateNames.Own) is { } fault ? throw new InvalidDataException(fault) : state;
    }

    internal void WritePayload(ByteSink sink)
    {
        sink.Write(BatchesSeen);
        sink.Write(InitialWeight);
        sink.WriteArray(MovingMean);
        sink.WriteArray(MovingVariance);
        sink.WriteArray(Gamma);
        sink.WriteArray(Beta);
        if (Renorm is not null)
        {
            sink.WriteArray(Renorm.MovingStandardDeviation);
            sink.WriteArray(Renorm.Mean);
            sink.WriteArray(Renorm.StandardDeviation);
        }
        if (population is not null)
        {
            sink.WriteArray(population.Count);
            sink.WriteArray(population.M2);
            sink.WriteArray(population.MeanRest);
            sink.WriteArray(population.M2Rest);
        }
    }

    /// <summary>Reads what <see cref="WritePayload"/> wrote; its values are not checked.</summary>
    internal static BatchNormalizationState ReadPayload(ByteSource source, BinaryHeader header)
    {
        int channels = header.Channels;
        long batchesSeen = source.Read<long>();
        double initialWeight = source.Read<double>();
        double[] mean = source.ReadArray<double>(channels), variance = source.ReadArray<double>(channels);
        float[] gamma = header.Has(StateParts.Gamma) ? source.ReadArray<float>(channels) : [];
        float[] beta = header.Has(StateParts.Beta) ? source.ReadArray<float>(channels) : [];
        RenormStatistics? renorm = null;
        if (header.Has(StateParts.Renorm))
            renorm = RenormStatistics.Of(
                source.ReadArray<double>(channels), source.ReadArray<double>(channels),
                source.ReadArray<double>(channels));
        PopulationMoments? population = null;
        if (header.Has(StateParts.Population))
            population = new PopulationMoments(
                source.ReadArray<double>(channels), source.ReadArray<double>(channels),
                source.ReadArray<double>(channels), source.ReadArray<double>(channels));
        return new BatchNormalizationState(
            mean, variance, gamma, beta, batchesSeen, initialWeight, renorm, population);
    }

    void CheckSavable()
    {
        if (StateFault.Of(this, StateNames.Own) is { } fault)
            throw new InvalidOperationException($"The state cannot be saved: {fault}");
    }
}
