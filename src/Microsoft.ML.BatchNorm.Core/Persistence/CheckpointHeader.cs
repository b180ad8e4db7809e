namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The first 16 bytes of a checkpoint.</summary>
static class CheckpointHeader
{
    public const int Length = 16;
    public const int MaxRun = 1 << 26;
    const ushort Version = 1, NoFlags = 0;

    // As in the header of a state.
    static ReadOnlySpan<byte> Magic => [0x89, (byte)'B', (byte)'N', (byte)'C', (byte)'P', (byte)'\r', (byte)'\n', 0x1A];

    public static void Write(ByteSink sink, int runLength)
    {
        sink.Write(Magic);
        sink.Write(Version);
        sink.Write(NoFlags);
        sink.Write(runLength);
    }

    /// <summary>The length of the run in bytes that the header claims, within bounds.</summary>
    public static int Read(ByteSource source)
    {
        source.Enter("its header", Length);
        Span<byte> magic = stackalloc byte[Magic.Length];
        source.Fill(magic);
        if (!magic.SequenceEqual(Magic))
            throw new InvalidDataException(
                $"this is not a checkpoint: it begins with {Convert.ToHexString(magic)}, not {Convert.ToHexString(Magic)}.");
        ushort version = source.Read<ushort>();
        if (version != Version)
            throw new InvalidDataException($"version {version} is not known; this library reads version {Version}.");
        ushort flags = source.Read<ushort>();
        if (flags != NoFlags)
            throw new InvalidDataException($"the flags are {flags}; version {Version} knows none.");
        uint length = source.Read<uint>();
        return length <= MaxRun
            ? (int)length
            : throw new InvalidDataException($"the checkpoint claims a run of {length} bytes; it has at most {MaxRun}.");
    }
}
