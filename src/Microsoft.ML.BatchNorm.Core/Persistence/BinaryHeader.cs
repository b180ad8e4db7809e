namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>Which of the optional parts a binary state has.</summary>
[Flags]
enum StateParts : ushort
{
    None = 0,
    Gamma = 1,
    Beta = 2,
    Renorm = 4,
    Population = 8,
    All = Gamma | Beta | Renorm | Population,
}

/// <summary>The first 24 bytes of a binary state.</summary>
readonly record struct BinaryHeader(StateParts Parts, int Channels)
{
    public const int Length = 24;
    const ushort Version = 1;

    // The first byte is not ASCII and a line end of each kind follows, so that text tools which
    // convert line ends or drop the eighth bit are noticed at once (PNG's habit).
    static ReadOnlySpan<byte> Magic => [0x89, (byte)'B', (byte)'N', (byte)'S', (byte)'T', (byte)'\r', (byte)'\n', 0x1A];

    public bool Has(StateParts part) => (Parts & part) != 0;

    /// <summary>The length in bytes that follows from parts and channels; the stored one must equal it.</summary>
    public long PayloadLength => sizeof(long) + sizeof(double) + (long)Channels * BytesPerChannel;

    int BytesPerChannel =>
        2 * sizeof(double)
        + (Has(StateParts.Gamma) ? sizeof(float) : 0)
        + (Has(StateParts.Beta) ? sizeof(float) : 0)
        + (Has(StateParts.Renorm) ? 3 * sizeof(double) : 0)
        + (Has(StateParts.Population) ? PopulationMoments.Arrays * sizeof(double) : 0);

    public static BinaryHeader Of(BatchNormalizationState state) => new(
        (state.Gamma.IsEmpty ? 0 : StateParts.Gamma)
        | (state.Beta.IsEmpty ? 0 : StateParts.Beta)
        | (state.Renorm is null ? 0 : StateParts.Renorm)
        | (state.Population is null ? 0 : StateParts.Population),
        state.Channels);

    public void Write(ByteSink sink)
    {
        sink.Write(Magic);
        sink.Write(Version);
        sink.Write((ushort)Parts);
        sink.Write(Channels);
        sink.Write(PayloadLength);
    }

    public static BinaryHeader Read(ByteSource source)
    {
        source.Enter("its header", Length);
        Span<byte> magic = stackalloc byte[Magic.Length];
        source.Fill(magic);
        if (!magic.SequenceEqual(Magic))
            throw OtherFile.Error("state", magic, Magic);
        ushort version = source.Read<ushort>();
        if (version != Version)
            throw new InvalidDataException($"Version {version} is not known; this library reads version {Version}.");
        var parts = (StateParts)source.Read<ushort>();
        if ((parts & ~StateParts.All) != 0)
            throw new InvalidDataException($"The flags are {(ushort)parts}; version {Version} knows those up to 15.");
        uint channels = source.Read<uint>();
        if (channels is 0 || channels > Array.MaxLength)
            throw new InvalidDataException(
                $"The state claims {channels} channels; from 1 to {Array.MaxLength} can be.");
        var header = new BinaryHeader(parts, (int)channels);
        ulong length = source.Read<ulong>();
        return length == (ulong)header.PayloadLength
            ? header
            : throw new InvalidDataException(
                $"The payload length is {length}; {channels} channels with flags {(ushort)parts} have "
                + $"{header.PayloadLength} bytes.");
    }
}
