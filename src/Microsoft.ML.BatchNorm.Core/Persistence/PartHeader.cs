namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>
/// The first 16 bytes of a format that begins with a part of a length of its own: eight of magic, version (uint16),
/// <see cref="PartFlags">flags</see> (uint16), the part's length in bytes (uint32).
/// </summary>
/// <param name="Name">What is stored, for messages: <c>network</c>.</param>
/// <param name="Letters">Bytes 1 to 4 of the magic; the others are as in the header of a state.</param>
/// <param name="Part">What comes first, for messages: <c>definition</c>.</param>
/// <param name="MaxLength">The most bytes that the part has.</param>
sealed record PartHeader(string Name, string Letters, string Part, int MaxLength)
{
    public const int Length = 16;
    const ushort Version = 1;

    readonly byte[] magic = [0x89, .. Letters.Select(letter => (byte)letter), (byte)'\r', (byte)'\n', 0x1A];

    public void Write(ByteSink sink, int partLength, PartFlags flags)
    {
        sink.Write(magic);
        sink.Write(Version);
        sink.Write((ushort)flags);
        sink.Write(partLength);
    }

    /// <summary>The length of the part in bytes that the header claims, within bounds.</summary>
    public int Read(ByteSource source, out PartFlags flags)
    {
        source.Enter("its header", Length);
        Span<byte> first = stackalloc byte[magic.Length];
        source.Fill(first);
        if (!first.SequenceEqual(magic))
            throw OtherFile.Error(Name, first, magic);
        ushort version = source.Read<ushort>();
        if (version != Version)
            throw new InvalidDataException($"Version {version} is not known; this library reads version {Version}.");
        flags = (PartFlags)source.Read<ushort>();
        if ((flags & ~PartFlags.TorchScriptStates) != 0)
            throw new InvalidDataException($"The flags are {(ushort)flags}; version {Version} knows 0 and 1.");
        uint length = source.Read<uint>();
        return length <= MaxLength
            ? (int)length
            : throw new InvalidDataException(
                $"The {Name} claims a {Part} of {length} bytes; it has at most {MaxLength}.");
    }
}
