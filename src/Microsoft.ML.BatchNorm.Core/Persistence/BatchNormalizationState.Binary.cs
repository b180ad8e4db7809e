using Microsoft.ML.BatchNorm.Persistence;

namespace Microsoft.ML.BatchNorm;

public sealed partial class BatchNormalizationState
{
    /// <summary>Writes every bit of the state, with its layer's options, in this library's own format.</summary>
    /// <param name="stream">
    /// Written from where it stands, neither flushed nor closed. States may follow one another, or lie amid other data.
    /// </param>
    /// <param name="options">
    /// The layer's options, which the state fits. What they leave unsaid is written as Keras's, as it is computed with.
    /// </param>
    /// <remarks>
    /// <para>
    /// Version 1, little-endian. Header: eight bytes 89 42 4E 53 54 0D 0A 1A, version (uint16), flags (uint16: 1 γ,
    /// 2 β, 4 renorm, 8 population), channels (uint32), payload length in bytes (uint64). Payload: batches seen
    /// (int64), initial weight (float64), moving mean and variance (float64 a channel), γ and β (float32 a channel),
    /// renorm's moving deviation, mean and deviation, the population's count and M2, and what the doubles of mean and
    /// M2 do not hold (float64 per channel). The options: length in bytes (int32), JSON in UTF-8. Last, the CRC-32C
    /// (RFC 3720) of all before it (uint32).
    /// </para>
    /// <para>A version that this library has written can be read by every later one.</para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">An argument is null.</exception>
    /// <exception cref="ArgumentException">The state does not fit the options.</exception>
    /// <exception cref="InvalidOperationException">
    /// A value is not finite or out of range, as after a training that diverged, and could not be loaded again;
    /// nothing was written.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public void Save(Stream stream, BatchNormalizationOptions options)
    {
        ArgumentNullException.ThrowIfNull(stream);
        CheckSavable(options);
        byte[] json = OptionsFormat.ToBytes(options.Or(BatchNormalizationOptions.Keras));
        var sink = new ByteSink(stream);
        BinaryHeader.Of(this).Write(sink);
        WritePayload(sink);
        sink.Write(json.Length);
        sink.Write(json);
        sink.Write(sink.Checksum.Value);
    }

    /// <summary>
    /// Reads what <see cref="Save"/> wrote: options and state, which equal the saved ones bit for bit.
    /// </summary>
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
    public static SavedBatchNormalization Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var source = new ByteSource(stream, "The state");
        BinaryHeader header = BinaryHeader.Read(source);
        source.Enter("its payload", header.PayloadLength);
        BatchNormalizationState state = ReadPayload(source, header);
        source.Enter("the length of its options", sizeof(int));
        int length = source.Read<int>();
        if (length is <= 0 or > OptionsFormat.MaxLength)
            throw new InvalidDataException(
                $"The options claim {length} bytes; from 1 to {OptionsFormat.MaxLength} can be.");
        source.Enter("its options", length);
        byte[] json = source.ReadArray<byte>(length);
        source.CheckChecksum();
        return StateFault.Of(state, StateNames.Own) is { } fault
            ? throw new InvalidDataException(fault)
            : Saved(() => OptionsFormat.FromBytes(json), state);
    }

    /// <summary>Options and state that fit together.</summary>
    /// <exception cref="InvalidDataException">They do not, or the options are wrong.</exception>
    internal static SavedBatchNormalization Saved(
        Func<BatchNormalizationOptions> options, BatchNormalizationState state)
    {
        try
        {
            var saved = new SavedBatchNormalization(options(), state);
            BatchNormalization.CheckState(saved.Options, state);
            return saved;
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"The options are wrong: {Check.Text(error)}", error);
        }
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

    void CheckSavable(BatchNormalizationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        BatchNormalization.CheckState(options, this);
        if (StateFault.Of(this, StateNames.Own) is { } fault)
            throw new InvalidOperationException($"The state cannot be saved: {fault}");
    }
}
