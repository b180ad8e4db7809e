namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The first 16 bytes of a binary network.</summary>
static class NetworkHeader
{
    public const int Length = 16;
    public const int MaxDefinition = 1 << 26;
    const ushort Version = 1, NoFlags = 0;

    // As in the header of a state.
    static ReadOnlySpan<byte> Magic => [0x89, (byte)'B', (byte)'N', (byte)'N', (byte)'W', (byte)'\r', (byte)'\n', 0x1A];

    public static void Write(ByteSink sink, int definitionLength)
    {
        sink.Write(Magic);
        sink.Write(Version);
        sink.Write(NoFlags);
        sink.Write(definitionLength);
    }

    /// <summary>The length of the definition in bytes that the header claims, within bounds.</summary>
    public static int Read(ByteSource source)
    {
        source.Enter("its header", Length);
        Span<byte> magic = stackalloc byte[Magic.Length];
        source.Fill(magic);
        if (!magic.SequenceEqual(Magic))
            throw new InvalidDataException(
                $"this is not a network: it begins with {Convert.ToHexString(magic)}, not "
                + $"{Convert.ToHexString(Magic)}.");
        ushort version = source.Read<ushort>();
        if (version != Version)
            throw new InvalidDataException($"version {version} is not known; this library reads version {Version}.");
        ushort flags = source.Read<ushort>();
        if (flags != NoFlags)
            throw new InvalidDataException($"the flags are {flags}; version {Version} knows none.");
        uint length = source.Read<uint>();
        return length <= MaxDefinition
            ? (int)length
            : throw new InvalidDataException(
                $"the network claims a definition of {length} bytes; it has at most {MaxDefinition}.");
    }
}
