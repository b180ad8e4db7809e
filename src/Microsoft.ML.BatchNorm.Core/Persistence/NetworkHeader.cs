namespace Microsoft.ML.BatchNorm.Persistence;

/// <summary>The first 16 bytes of a binary network.</summary>
static class NetworkHeader
{
    public const int Length = PartHeader.Length;

    /// <summary>Room for TorchScript modules, which are part of a definition.</summary>
    public const int MaxDefinition = 1 << 30;

    static readonly PartHeader header = new("network", "BNNW", "definition", MaxDefinition);

    public static void Write(ByteSink sink, int definitionLength, PartFlags flags) =>
        header.Write(sink, definitionLength, flags);

    /// <summary>The length of the definition in bytes that the header claims, within bounds.</summary>
    public static int Read(ByteSource source, out PartFlags flags) => header.Read(source, out flags);
}
